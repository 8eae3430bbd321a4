"""Whatever is sent: an answer of the documented kind, never a failure of the service."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from events.models import Action
from experiments.models import Experiment
from projects.models import Project, User
from tests.cast import key_for
from tests.experiments.conftest import ENDED, STARTED, Experiments, everything, variants
from tests.experiments.documents import action as action_node
from tests.experiments.documents import any_json, event, funnel, mean, nearly, ratio, retention

FIELDS = (
    *("name", "description", "start_date", "end_date", "feature_flag_key", "feature_flag", "holdout", "holdout_id"),
    *("parameters", "running_time_calculation", "excluded_variants", "secondary_metrics", "saved_metrics"),
    *("saved_metrics_ids", "filters", "archived", "deleted", "type", "exposure_criteria", "metrics"),
    *("metrics_secondary", "stats_config", "scheduling_config", "conclusion", "conclusion_comment"),
    *("primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids", "exposure_preaggregation_enabled"),
    *("only_count_matured_users", "update_feature_flag_params", "_create_in_folder", "allow_unknown_events"),
)
# The extremes that a JSON document may hold.
EXTREMES: list[Any] = [
    *(None, True, False, 0, -1, 2**63, -(2**63) - 1, 10**400, -(10**4000), 0.1, 1e308, -0.0),
    *("", " ", "null", "0", "x" * 5000, "ü💥", "2026-01-01T00:00:00Z", "\x7f\r\n\t", "9" * 5000),
    *([], {}, [[]], [None], [{}], {"": None}, {"id": None}, [1, "a", None], {"a": {"b": {"c": []}}}),
    *(["control"], [{"id": 10**400}], {"filters": {"groups": [{"rollout_percentage": 10**400}]}}),
    {"feature_flag_variants": [{"key": "control", "split_percent": 1e308}, {"key": "x", "split_percent": -(10**400)}]},
    {"exposure_config": {"id": 2**70}, "filterTestAccounts": {}},
    [{"kind": "ExperimentMetric", "metric_type": {}}],
    [{"kind": "ExperimentMetric", "metric_type": "mean", "source": [[[]]]}],
    {"method": {}, "baseline_variant_key": [], "bayesian": [], "frequentist": 5, "cuped": None},
]


class Raw:
    """Sends JSON as it stands, and wants an answer below 500. Apart from the compared with the OpenAPI document."""

    def __init__(self, project: Project, user: User) -> None:
        self.base = f"/api/projects/{project.pk}/experiments/"
        self.client = Client(headers={"authorization": f"Bearer {key_for(user)}"}, raise_request_exception=False)

    def send(self, method: str, path: str, body: Any) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = self.client.generic(method, self.base + path, text, content_type="application/json")
        assert answer.status_code < 500, (method, path, text[:2000], answer.content)
        if answer.status_code >= 400:
            told = answer.json()
            assert list(told) == ["type", "code", "detail", "attr"], told
            assert told["code"] != "invalid"
            assert told["detail"]
        return answer

    def create(self, body: Any) -> Any:
        return self.send("POST", "", body)

    def change(self, experiment_id: int, body: Any) -> Any:
        return self.send("PATCH", f"{experiment_id}/", body)

    def survives(self, answer: Any) -> None:
        """What was written can be read: alone, in a list and through its filters."""
        if answer.status_code >= 400:
            return
        written = json.loads(answer.content)
        if not written["deleted"]:
            assert self.client.get(f"{self.base}{written['id']}/").status_code == 200
        for query in ("", "?event=a", "?archived=true", "?order=duration", "?search=%25", "?folder=x"):
            assert self.client.get(self.base + query).status_code == 200, written


@pytest.fixture
def raw(project: Project, member: User, settings: Any) -> Raw:
    settings.THROTTLING_ENABLED = False  # there will be more requests than a minute allows
    return Raw(project, member)


@pytest.mark.parametrize("field", FIELDS)
def test_extremes__in_every_field__of_every_request(raw: Raw, experiments: Experiments, field: str) -> None:
    draft, running = experiments.made(), experiments.running(name="Running", feature_flag_key="running")
    for number, value in enumerate(EXTREMES):
        raw.survives(raw.create({"name": "n", "feature_flag_key": f"k-{number}", field: value}))
        raw.survives(raw.change(draft["id"], {field: value}))
        raw.survives(raw.change(running["id"], {field: value, "update_feature_flag_params": True}))
        Experiment.objects.filter(pk__in=[draft["id"], running["id"]]).update(deleted=False)


def test_two_extremes__of_all_pairs_of_fields_that_concern_each_other(raw: Raw, experiments: Experiments) -> None:
    groups: list[tuple[str, list[Any]]] = [
        ("start_date", [None, STARTED, "0001-01-01", "9999-12-31T23:59:59.999999Z"]),
        ("end_date", [None, ENDED, "0001-01-02", "9999-12-31T23:59:59.999999Z"]),
        ("archived", [True, False]),
        ("deleted", [True, False]),
    ]
    for first, firsts in groups:
        for second, seconds in groups:
            for one in firsts:
                for other in seconds:
                    made = raw.create({"name": "n", "feature_flag_key": "k", first: one, second: other})
                    raw.survives(made)
                    if made.status_code == 201:
                        raw.survives(raw.change(made.json()["id"], {second: one, first: other}))


@pytest.mark.parametrize("field", FIELDS)
def test_multipart__file_or_repeated_name__is_answered(raw: Raw, field: str) -> None:
    known = {"name": "n", "feature_flag_key": "k"}
    for value in (SimpleUploadedFile("a.json", b"{}"), ["a", "b"], "{}"):
        answer = raw.client.post(raw.base, {**known, field: value})
        assert answer.status_code in (201, 400), answer.content
        raw.survives(answer)


# Unreadable bodies


@pytest.mark.parametrize("path", ["", "draft"])
@pytest.mark.parametrize(
    "text",
    [
        *("{", "nonsense", '{"name": NaN}', '{"name": Infinity}', '{"filters": {"a": 1e999}}', "{'name': 1}", "\xff"),
        b"\xff\xfe",
        b'{"name": "\xed\xa0\x80"}',
        '{"filters": ' + "[" * 100 + "]" * 100 + "}",
        "[" * 100_000,
        '{"filters": {"a": ' + "9" * 4301 + "}}",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_unreadable__is_a_parse_error_and_writes_nothing(
    raw: Raw, experiments: Experiments, path: str, text: str | bytes
) -> None:
    made = experiments.made()
    before = everything()
    answer = raw.send("PATCH", f"{made['id']}/", text) if path else raw.send("POST", "", text)

    assert answer.status_code == 400
    assert (answer.json()["type"], answer.json()["code"]) == ("invalid_request", "parse_error")
    assert everything() == before


@pytest.mark.parametrize(
    ("character", "code", "detail"),
    [
        ("\\u0000", "null_characters_not_allowed", "Null characters are not allowed."),
        ("\\ud800", "surrogate_characters_not_allowed", "Surrogate characters are not allowed: U+D800."),
        ("\\udfff", "surrogate_characters_not_allowed", "Surrogate characters are not allowed: U+DFFF."),
    ],
)
@pytest.mark.parametrize(
    "template",
    [
        '{"name": "a%s", "feature_flag_key": "k"}',
        '{"name": "a", "feature_flag_key": "k%s"}',
        '{"name": "a", "feature_flag_key": "k", "filters": {"a%s": 1}}',
        '{"name": "a", "feature_flag_key": "k", "metrics": [{"name": ["%s"]}]}',
        '{"name": "a", "feature_flag_key": "k", "unknown": "%s"}',
    ],
)
def test_bad_characters__anywhere__are_refused_as_a_whole(
    raw: Raw, experiments: Experiments, template: str, character: str, code: str, detail: str
) -> None:
    made = experiments.made()
    before = everything()
    for answer in (raw.create(template % character), raw.change(made["id"], template % character)):
        assert answer.status_code == 400
        assert answer.json() == {"type": "validation_error", "code": code, "detail": detail, "attr": None}
    assert everything() == before


def test_deepest_document__is_kept(raw: Raw) -> None:
    deepest = "[" * 98 + "]" * 98
    answer = raw.create(f'{{"name": "n", "feature_flag_key": "k", "filters": {{"own": {deepest}}}}}')

    assert answer.status_code == 201
    raw.survives(answer)


def test_longest_integer__beside_present_names_of_actions__is_read_back(
    raw: Raw, experiments: Experiments, action: Callable[..., Action]
) -> None:
    # The names make the service parse and write again what it otherwise copies.
    huge = 10**4000
    metric = mean(action_node(action().pk, version=huge))
    made = experiments.made(metrics=[metric], filters={"own": huge, "exact": 1.0}, parameters={"own": -huge})

    shown = experiments.read(made["id"])
    assert shown["metrics"][0]["source"]["version"] == huge
    assert shown["filters"] == {"own": huge, "exact": 1.0}
    assert shown["parameters"]["own"] == -huge
    assert b'"exact":1.0' in experiments.get(made["id"]).content


# Arbitrary JSON


WHOLE: dict[str, Any] = {
    "name": "Fuzzed",
    "description": None,
    "start_date": STARTED,
    "end_date": ENDED,
    "feature_flag": {
        "filters": {
            "multivariate": {"variants": variants(50, 50)},
            "groups": [{"properties": [], "rollout_percentage": 50}],
            "payloads": {"test": "1"},
            "aggregation_group_type_index": 1,
        },
        "ensure_experience_continuity": True,
    },
    "holdout_id": 1,
    "parameters": {
        "feature_flag_variants": [*variants(50), {"key": "test", "name": "T", "split_percent": 50}],
        "rollout_percentage": 50,
        "aggregation_group_type_index": 0,
        "feature_flag_payloads": {"test": {"a": 1}},
        "custom_exposure_filter": {"events": [{"id": "seen", "properties": [{"key": "a", "type": "event"}]}]},
        "minimum_detectable_effect": 5,
        "excluded_variants": [],
    },
    "running_time_calculation": {"minimum_detectable_effect": 5, "exposure_estimate_config": {}},
    "excluded_variants": ["test"],
    "secondary_metrics": [{"kind": "ExperimentTrendsQuery"}],
    "saved_metrics_ids": [{"id": 1, "metadata": {"type": "primary"}}],
    "filters": {"properties": []},
    "archived": True,
    "deleted": False,
    "type": "web",
    "exposure_criteria": {
        "filterTestAccounts": True,
        "exposure_config": {"event": "seen", "properties": [{"key": "a", "operator": "exact", "value": ["b"]}]},
        "activation_config": {"kind": "ActionsNode", "id": 1},
        "multiple_variant_handling": "exclude",
    },
    "metrics": [
        mean(event(properties=[{"type": "cohort", "value": 1}]), threshold=1, breakdownFilter={"breakdowns": []}),
        funnel(event("a"), action_node(1), funnel_order_type="ordered"),
    ],
    "metrics_secondary": [ratio(numerator_outlier_handling={"ignore_zeros": True}), retention()],
    "stats_config": {"method": "bayesian", "baseline_variant_key": "test", "bayesian": {"ci_level": 0.9}},
    "scheduling_config": {"timeseries": True},
    "conclusion": "won",
    "conclusion_comment": "",
    "primary_metrics_ordered_uuids": ["a"],
    "secondary_metrics_ordered_uuids": None,
    "exposure_preaggregation_enabled": True,
    "only_count_matured_users": "true",
    "update_feature_flag_params": True,
    "_create_in_folder": "Shop",
}
fuzzing = hypothesis_settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
some_fields = st.lists(st.sampled_from(sorted(WHOLE)), min_size=1, max_size=4, unique=True)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A few fields, each nearly as it should be, or anything."""
    return {name: draw(nearly(WHOLE[name]) | any_json) for name in draw(some_fields)}


@fuzzing
@given(body=bodies(), number=st.integers(0, 2**32))
def test_create__any_json__is_answered(raw: Raw, body: dict[str, Any], number: int) -> None:
    raw.survives(raw.create({"name": "Fuzzed", "feature_flag_key": f"key-{number}", **body}))


@fuzzing
@given(body=bodies(), launched=st.booleans())
def test_change__any_json__is_answered(raw: Raw, body: dict[str, Any], launched: bool) -> None:
    dates = {"start_date": STARTED} if launched else {}
    made = raw.create({"name": "Fuzzed", "feature_flag_key": "key", **dates})
    answer = raw.change(made.json()["id"], body)
    raw.survives(answer)
    if answer.status_code == 200 and not answer.json()["deleted"]:
        sent_back = raw.change(made.json()["id"], answer.content)
        assert (sent_back.status_code, sent_back.content) == (200, answer.content)


@fuzzing
@given(
    query=st.dictionaries(
        st.sampled_from(
            [
                *("status", "archived", "feature_flag_id", "created_by_id", "holdout_id", "search", "event", "folder"),
                *("order", "limit", "offset", "unknown"),
            ]
        ),
        st.text() | st.integers().map(str) | st.sampled_from(["", "true", "all", "-duration", "name", "9" * 30]),
        max_size=3,
    )
)
def test_list__any_query__is_answered(raw: Raw, query: dict[str, str]) -> None:
    assert raw.client.get(raw.base, query).status_code in (200, 400)
