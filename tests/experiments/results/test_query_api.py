"""POST query/: the numbers of a metric, and exposures, that need not be stored."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from events.store.base import StoreTimeout
from events.store.postgres import PostgresEventStore
from experiments.models import StoredAnswer
from projects.models import Project, User
from tests.cast import key_for
from tests.experiments.conftest import STARTED, Experiments, variants
from tests.experiments.results.traffic import PURCHASES, SIGNUP, Json, did, exposed

ENVELOPE = {"cache_key", "is_cached", "last_refresh", "cache_target_age", "next_allowed_client_refresh", "timezone"}


class Asker:
    """Asks questions about one project's experiments."""

    def __init__(self, experiments: Experiments) -> None:
        self.experiments = experiments
        self.path = f"/api/projects/{experiments.project.pk}/query/"

    def ask(self, query: Any, **outer: Any) -> Any:
        return self.experiments.client.post(self.path, {"query": query, **outer})

    def metric(self, experiment: Json, metric: Any = SIGNUP, *, query: Json | None = None, **outer: Any) -> Json:
        body = {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": metric, **(query or {})}
        return self.answered(self.ask(body, **outer))

    def exposures(self, experiment: Json, **query: Any) -> Json:
        return self.answered(self.ask(exposure_question(experiment, **query)))

    def answered(self, answer: Any) -> Json:
        assert answer.status_code == 200, answer.content
        body: Json = answer.json()
        return body


def exposure_question(experiment: Json, **query: Any) -> Json:
    return {
        "kind": "ExperimentExposureQuery",
        "experiment_id": experiment["id"],
        "experiment_name": experiment["name"],
        "feature_flag": {"key": "blue-button", "filters": {"multivariate": {"variants": variants(50, 50)}}},
        "start_date": STARTED,
        "end_date": "2026-01-04T00:00:00Z",
        **query,
    }


@pytest.fixture
def asker(experiments: Experiments) -> Asker:
    return Asker(experiments)


# --- The numbers of a metric -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hundred")
def test_metric__not_stored__has_its_numbers(asker: Asker) -> None:
    experiment = asker.experiments.stopped(stats_config={"method": "frequentist"})
    answer = asker.metric(experiment)
    assert answer["kind"] == "ExperimentQuery"
    assert (answer["baseline"]["key"], answer["baseline"]["sum"]) == ("control", 12)
    treatment = answer["variant_results"][0]
    assert (treatment["key"], treatment["sum"], treatment["significant"]) == ("test", 30, True)
    assert "p_value_adjusted" not in treatment
    assert answer["is_precomputed"] is False
    assert set(answer) > ENVELOPE
    assert asker.experiments.read(experiment["id"])["metrics"] == []


@pytest.mark.usefixtures("hundred")
def test_metric__stored__has_the_numbers_of_the_results(asker: Asker) -> None:
    experiment = asker.experiments.stopped(metrics=[SIGNUP, PURCHASES])
    results = asker.experiments.get(f"{experiment['id']}/results").json()
    for metric in results["metrics"]:
        answer = asker.metric(experiment, SIGNUP if metric["uuid"] == "signup" else PURCHASES)
        for arm in (answer["baseline"], *answer["variant_results"]):
            arm.pop("step_sessions", None)
        for treatment in metric["result"]["variant_results"]:
            del treatment["p_value_adjusted"], treatment["confidence_interval_adjusted"]
        assert {name: answer[name] for name in ("baseline", "variant_results")} == {
            name: metric["result"][name] for name in ("baseline", "variant_results")
        }


@pytest.mark.usefixtures("hundred")
def test_metric__alias__is_the_same_address(asker: Asker) -> None:
    experiment = asker.experiments.stopped()
    first = asker.metric(experiment)
    asker.path = asker.path.replace("projects", "environments")
    second = asker.metric(experiment)
    assert second["is_cached"] is True
    assert second["cache_key"] == first["cache_key"]


@pytest.mark.usefixtures("hundred")
def test_metric__breakdown_filter__splits_the_units(asker: Asker) -> None:
    broken_down = {**SIGNUP, "breakdownFilter": {"breakdowns": [{"property": "$browser"}]}}
    answer = asker.metric(asker.experiments.stopped(), broken_down)
    (value,) = answer["breakdown_results"]
    assert value["breakdown_value"] == ["Firefox"]
    assert value["baseline"]["number_of_samples"] == 60
    assert [len(step) for step in value["baseline"]["step_sessions"]] == [48, 12]


def test_metric__labels__neither_change_the_key_nor_come_from_another_answer(
    asker: Asker, hundred: None, experiments: Experiments
) -> None:
    experiment = experiments.stopped(stats_config={"method": "frequentist"})
    first = asker.metric(experiment, {**SIGNUP, "goal": "increase"})
    second = asker.metric(experiment, {**SIGNUP, "uuid": "other", "name": "Other", "goal": "decrease"})
    assert second["cache_key"] == first["cache_key"]
    assert second["is_cached"] is True
    favourable = [answer["variant_results"][0]["favourable"] for answer in (first, second)]
    assert favourable == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"series": [{"kind": "EventsNode", "event": "purchase"}]},
        {"conversion_window": 1, "conversion_window_unit": "hour"},
        {"funnel_order_type": "strict"},
    ],
)
@pytest.mark.usefixtures("hundred")
def test_metric__other_meaning__is_another_answer(asker: Asker, other: Json) -> None:
    experiment = asker.experiments.stopped()
    first = asker.metric(experiment)
    assert asker.metric(experiment, SIGNUP | other)["cache_key"] != first["cache_key"]


@pytest.mark.usefixtures("hundred")
def test_metric__low_power__is_warned_of_where_it_is_a_primary_one(asker: Asker) -> None:
    experiment = asker.experiments.stopped(metrics=[SIGNUP], metrics_secondary=[PURCHASES])
    (warning,) = asker.metric(experiment)["warnings"]
    assert (warning["code"], warning["data"]["metric_uuid"]) == ("low_power", "signup")
    assert asker.metric(experiment, {**SIGNUP, "uuid": "purchases"})["warnings"] == []
    assert asker.metric(experiment, {**SIGNUP, "uuid": None})["warnings"] == []


@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize("mode", ["direct", "precomputed", None])
def test_metric__precomputation_mode__changes_no_number(asker: Asker, mode: str | None) -> None:
    experiment = asker.experiments.stopped()
    answer = asker.metric(experiment, query={"precomputation_mode": mode})
    assert answer["variant_results"] == asker.metric(experiment)["variant_results"]


# --- Single units of a funnel ------------------------------------------------------------------------------------


def test_step_sessions__furthest_step_of_each_unit(asker: Asker, capture: Callable[..., None]) -> None:
    signups, purchases = did("signup", "test", 2), did("purchase", "test", 1)
    for event in (*signups, *purchases):
        event["properties"] = {"$session_id": f"session of {event['distinct_id']}"}
    purchases[0]["timestamp"] = "2026-01-03T00:00:01Z"
    exposures = exposed("test", 3)
    capture(*exposures, *signups, *purchases)
    metric = {**SIGNUP, "series": [*SIGNUP["series"], {"kind": "EventsNode", "event": "purchase"}]}
    answer = asker.metric(asker.experiments.stopped(), metric)
    only_exposed, signed_up, bought = answer["variant_results"][0]["step_sessions"]
    assert [case["event_uuid"] for case in only_exposed] == [exposures[2]["uuid"]]
    assert only_exposed[0]["session_id"] is None
    assert [case["event_uuid"] for case in signed_up] == [signups[1]["uuid"]]
    assert (signed_up[0]["session_id"], signed_up[0]["timestamp"]) == ("session of test-1", "2026-01-03T00:00:00Z")
    assert [case["event_uuid"] for case in bought] == [purchases[0]["uuid"]]
    person = asker.experiments.client.get(
        f"/api/projects/{asker.experiments.project.pk}/persons/", {"distinct_id": "test-0"}
    ).json()["results"][0]
    assert bought[0]["person_id"] == person["uuid"]
    assert answer["baseline"]["step_sessions"] == [[], [], []]


def test_step_sessions__many_units__are_a_hundred_at_most(asker: Asker, capture: Callable[..., None]) -> None:
    capture(*exposed("control", 230), *did("signup", "control", 120))
    answer = asker.metric(asker.experiments.stopped())
    assert answer["baseline"]["step_counts"] == [120]
    assert [len(step) for step in answer["baseline"]["step_sessions"]] == [100, 100]


@pytest.mark.parametrize("order", ["ordered", "strict", "unordered"])
def test_step_sessions__any_order__agree_with_the_counts(
    asker: Asker, capture: Callable[..., None], order: str
) -> None:
    """Of the steps signup and purchase: three take both in order, four the other way round, two the first alone."""
    capture(*exposed("test", 9))
    for number, names in enumerate([["signup", "purchase"]] * 3 + [["purchase", "signup"]] * 4 + [["signup"]] * 2):
        for second, name in enumerate(names):
            (event,) = did(name, "test", 1)
            capture({**event, "distinct_id": f"test-{number}", "timestamp": f"2026-01-03T00:00:0{second}Z"})
    series = [*SIGNUP["series"], {"kind": "EventsNode", "event": "purchase"}]
    answer = asker.metric(asker.experiments.stopped(), {**SIGNUP, "series": series, "funnel_order_type": order})
    arm = answer["variant_results"][0]
    expected = {"ordered": [0, 6, 3], "strict": [4, 2, 3], "unordered": [0, 2, 7]}
    assert [len(step) for step in arm["step_sessions"]] == expected[order]
    at_least = [sum(len(step) for step in arm["step_sessions"][k:]) for k in (1, 2)]
    assert at_least == arm["step_counts"]


@pytest.mark.usefixtures("hundred")
def test_results__funnel__shows_no_single_units(asker: Asker) -> None:
    experiment = asker.experiments.stopped(metrics=[SIGNUP])
    result = asker.experiments.get(f"{experiment['id']}/results").json()["metrics"][0]["result"]
    assert "step_sessions" not in result["baseline"]


# --- Exposures ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hundred")
def test_exposures__window_flag_and_criteria__are_those_of_the_request(asker: Asker) -> None:
    draft = asker.experiments.made(feature_flag_key="another", exposure_criteria={"filterTestAccounts": False})
    answer = asker.exposures(draft, exposure_criteria={"multiple_variant_handling": "first_seen"}, holdout={"id": 5})
    assert answer["kind"] == "ExperimentExposureQuery"
    assert answer["total_exposures"] == {"control": 60, "test": 60}
    assert answer["timeseries"][1] == {
        "variant": "test",
        "days": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"],
        "exposure_counts": [0, 60, 60, 60],
    }
    assert answer["date_range"] == {"date_from": STARTED, "date_to": "2026-01-04T00:00:00Z", "explicitDate": True}
    assert answer["sample_ratio_mismatch"]["expected"] == {"control": 60.0, "test": 60.0}
    assert set(answer) > ENVELOPE


@pytest.mark.usefixtures("hundred")
def test_exposures__shares_of_the_request__are_expected(asker: Asker) -> None:
    flag = {"key": "blue-button", "filters": {"multivariate": {"variants": variants(75, 25)}}}
    answer = asker.exposures(asker.experiments.stopped(), feature_flag=flag)
    assert answer["sample_ratio_mismatch"]["expected"] == {"control": 90.0, "test": 30.0}


@pytest.mark.usefixtures("hundred")
def test_exposures__without_a_start__are_none(asker: Asker) -> None:
    answer = asker.exposures(asker.experiments.made(), start_date=None)
    assert (answer["timeseries"], answer["total_exposures"]) == ([], {})
    assert answer["date_range"]["date_from"] is None


@pytest.mark.usefixtures("hundred")
def test_exposures__without_an_end__last_until_now(asker: Asker) -> None:
    answer = asker.exposures(asker.experiments.made(), end_date=None)
    assert answer["timeseries"][0]["days"][-1] == timezone.now().date().isoformat()


@pytest.mark.usefixtures("hundred")
def test_exposures__deleted_flag__is_counted_by_the_key_it_was_called_by(asker: Asker) -> None:
    experiment = asker.experiments.stopped()
    flag = experiment["feature_flag"]["id"]
    flags = f"/api/projects/{asker.experiments.project.pk}/feature_flags/{flag}/"
    asker.experiments.client.patch(flags, {"deleted": True})
    stored = {"key": f"blue-button:deleted:{flag}", "filters": {"multivariate": {"variants": variants(50, 50)}}}
    answer = asker.exposures(experiment, feature_flag=stored)
    assert answer["total_exposures"] == {"control": 60, "test": 60}


def test_exposures__nobody__is_warned_of(asker: Asker) -> None:
    answer = asker.exposures(asker.experiments.made())
    assert [warning["code"] for warning in answer["warnings"]] == ["no_exposures"]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("2026-01-03T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
@pytest.mark.usefixtures("hundred")
def test_exposures__at_the_ends_of_the_calendar__are_counted_all_the_same(
    asker: Asker, project: Project, zone: str, start: str, end: str | None
) -> None:
    Project.objects.filter(pk=project.pk).update(timezone=zone)
    answer = asker.exposures(asker.experiments.made(), start_date=start, end_date=end)
    number = 60 if start < "2026" and end is None else 0
    assert answer["total_exposures"] == {"control": number, "test": number}


@pytest.mark.usefixtures("hundred")
def test_metric__started_in_the_year_one__looks_back_from_there(asker: Asker) -> None:
    stats = {"cuped": {"enabled": True, "lookback_days": 30}}
    experiment = asker.experiments.made(start_date="0001-01-01T00:00:00Z", stats_config=stats)
    assert asker.metric(experiment)["baseline"]["covariate_sum"] == 0


def test_exposures__wrong_criteria__are_refused_by_their_path(asker: Asker) -> None:
    question = exposure_question(asker.experiments.made(), exposure_criteria=[])
    answer = asker.ask(question)
    assert answer.status_code == 400
    assert answer.json()["attr"] == "query__exposure_criteria"


# --- Stored answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "blocking", "async", "lazy_async", "async_except_on_cache_miss", False])
@pytest.mark.usefixtures("hundred")
def test_refresh__a_fresh_answer_will_do(asker: Asker, mode: Any) -> None:
    experiment = asker.experiments.stopped()
    first = asker.metric(experiment)
    second = asker.metric(experiment, refresh=mode)
    assert (first["is_cached"], second["is_cached"]) == (False, True)
    assert second["last_refresh"] == first["last_refresh"] == second["next_allowed_client_refresh"]
    assert second["cache_target_age"] > second["last_refresh"]
    assert second["variant_results"] == first["variant_results"]


@pytest.mark.parametrize("mode", ["blocking", "async", False])
@pytest.mark.usefixtures("hundred")
def test_refresh__a_stale_answer__is_replaced(asker: Asker, mode: Any) -> None:
    experiment = asker.experiments.running()
    asker.metric(experiment)
    StoredAnswer.objects.update(computed_at=timezone.now() - timedelta(minutes=16))
    assert asker.metric(experiment, refresh=mode)["is_cached"] is False
    assert asker.metric(experiment, refresh=mode)["is_cached"] is True


@pytest.mark.parametrize("mode", ["force_blocking", "force_async", True])
@pytest.mark.usefixtures("hundred")
def test_refresh__forced__replaces_the_stored_answer(asker: Asker, capture: Callable[..., None], mode: Any) -> None:
    experiment = asker.experiments.stopped()
    asker.metric(experiment)
    capture(*did("signup", "control", 13))
    assert asker.metric(experiment)["baseline"]["sum"] == 12
    forced = asker.metric(experiment, refresh=mode)
    assert (forced["is_cached"], forced["baseline"]["sum"]) == (False, 13)
    assert asker.metric(experiment)["baseline"]["sum"] == 13


@pytest.mark.usefixtures("hundred")
def test_force_cache__takes_an_answer_of_any_age(asker: Asker) -> None:
    experiment = asker.experiments.running()
    first = asker.metric(experiment)
    StoredAnswer.objects.update(computed_at=timezone.now() - timedelta(days=9))
    answer = asker.metric(experiment, refresh="force_cache")
    assert (answer["is_cached"], answer["variant_results"]) == (True, first["variant_results"])


@pytest.mark.usefixtures("hundred")
def test_force_cache__nothing_stored__computes_nothing(asker: Asker) -> None:
    experiment = asker.experiments.running()
    answer = asker.metric(experiment, refresh="force_cache")
    assert answer == {
        "results": None,
        "cache_key": answer["cache_key"],
        "is_cached": False,
        "last_refresh": None,
        "cache_target_age": None,
        "next_allowed_client_refresh": None,
        "timezone": "UTC",
    }
    assert not StoredAnswer.objects.exists()
    assert asker.metric(experiment)["cache_key"] == answer["cache_key"]


@pytest.mark.parametrize("mode", ["forced", "", "true", 1, 0, 2, [], {}])
def test_refresh__anything_else__is_refused(asker: Asker, mode: Any) -> None:
    answer = asker.ask(exposure_question(asker.experiments.made()), refresh=mode)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["attr"]) == ("invalid_choice", "refresh")


@pytest.mark.usefixtures("hundred")
def test_query_status__never_appears_and_unknown_keys_do_nothing(asker: Asker) -> None:
    experiment = asker.experiments.stopped()
    answer = asker.metric(
        experiment, query={"tags": {}, "response": None, "version": 2}, client_query_id="mine", variables_override={}
    )
    assert "query_status" not in answer
    assert answer["cache_key"] == asker.metric(experiment)["cache_key"]


# --- Refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["TrendsQuery", "", None, 5, "experimentquery"])
def test_kind__another__is_refused(asker: Asker, kind: Any) -> None:
    asker.experiments.refused(
        asker.ask({"kind": kind}),
        f"Unsupported query kind: '{kind}'. Must be one of: ExperimentQuery, ExperimentExposureQuery.",
        attr="query__kind",
    )


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        ({}, "required", "query"),
        ({"query": None}, "null", "query"),
        ({"query": {}}, "required", "query__kind"),
        ({"query": []}, "not_a_dict", "query"),
        ({"query": {"kind": "ExperimentQuery", "experiment_id": "x"}}, "invalid_input", "query__experiment_id"),
        (
            {"query": {"kind": "ExperimentQuery", "experiment_id": 1, "precomputation_mode": "x"}},
            "invalid_choice",
            "query__precomputation_mode",
        ),
        ({"query": {"kind": "ExperimentExposureQuery", "experiment_id": 1}}, "required", "query__feature_flag"),
        (
            {
                "query": {
                    "kind": "ExperimentExposureQuery",
                    "experiment_id": 1,
                    "feature_flag": {"key": "k", "filters": {"multivariate": {"variants": [{"key": "a"}]}}},
                }
            },
            "required",
            "query__feature_flag__filters__multivariate__variants__0__rollout_percentage",
        ),
    ],
)
def test_body__not_well_formed__is_refused_by_its_path(asker: Asker, body: Json, code: str, attr: str) -> None:
    answer = asker.experiments.client.post(asker.path, body)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["attr"]) == (code, attr)


@pytest.mark.parametrize("kind", ["ExperimentQuery", "ExperimentExposureQuery"])
@pytest.mark.parametrize("sent", [{}, {"experiment_id": None}])
def test_experiment_id__missing__is_refused(asker: Asker, kind: str, sent: Json) -> None:
    asker.experiments.refused(asker.ask({"kind": kind, **sent}), "experiment_id is required")


@pytest.mark.parametrize("number", [0, -1, 999_999, 2**63, 10**30])
def test_experiment__unknown__is_refused(asker: Asker, number: int) -> None:
    for query in (
        {"kind": "ExperimentQuery", "experiment_id": number, "metric": SIGNUP},
        exposure_question({"id": number, "name": "x"}),
    ):
        asker.experiments.refused(asker.ask(query), f"Experiment with id {number} not found")


def test_experiment__deleted_or_of_another_project__is_unknown(
    asker: Asker, foreign_project: Project, outsider: User
) -> None:
    gone = asker.experiments.running()["id"]
    asker.experiments.changed(gone, deleted=True)
    theirs = APIClient(headers={"authorization": f"Bearer {key_for(outsider)}"})
    foreign = Experiments(theirs, foreign_project).running()["id"]
    for number in (gone, foreign):
        answer = asker.ask({"kind": "ExperimentQuery", "experiment_id": number, "metric": SIGNUP})
        asker.experiments.refused(answer, f"Experiment with id {number} not found")


def test_draft__has_no_numbers(asker: Asker) -> None:
    draft = asker.experiments.made()
    answer = asker.ask({"kind": "ExperimentQuery", "experiment_id": draft["id"], "metric": SIGNUP})
    asker.experiments.refused(answer, "Experiment has not been started yet")


TWO_MISSING = [{"kind": "ActionsNode", "id": 99}, {"kind": "ActionsNode", "id": 7}]
WAREHOUSE = {
    "kind": "ExperimentDataWarehouseNode",
    "table_name": "t",
    "timestamp_field": "t",
    "events_join_key": "t",
    "data_warehouse_join_key": "t",
}


def counting(**node: Any) -> Json:
    return {"kind": "ExperimentMetric", "metric_type": "mean", "source": {"kind": "EventsNode", **node}}


@pytest.mark.parametrize(
    ("metric", "code", "detail"),
    [
        (
            {**SIGNUP, "breakdownFilter": {"breakdowns": [{"property": name} for name in "abcd"]}},
            "invalid_input",
            "Maximum of 3 breakdowns are supported for experiment metrics",
        ),
        (None, "invalid_input", "Invalid metric: must be a dict"),
        ([], "invalid_input", "Invalid metric: must be a dict"),
        ({}, "invalid_input", "Invalid metric: metric kind must be 'ExperimentMetric'"),
        (
            {"kind": "ExperimentFunnelsQuery"},
            "invalid_input",
            "Invalid metric: legacy metric kind 'ExperimentFunnelsQuery' is no longer supported for new experiments. "
            "Use 'ExperimentMetric' instead.",
        ),
        (
            {**SIGNUP, "series": []},
            "invalid_input",
            "Invalid metric: funnel metrics require at least one step. "
            "The experiment exposure event is added as the initial step automatically.",
        ),
        (
            counting(event="a", math="hogql"),
            "invalid_input",
            "Invalid metric: math 'hogql' is not supported. "
            "Use total, sum, unique_session, min, max, avg, dau or unique_group.",
        ),
        (
            {**SIGNUP, "series": TWO_MISSING},
            "action-not-found",
            "Action(s) with ID 7, 99 not found or deleted. "
            "Each ActionsNode must reference an existing action belonging to this project.",
        ),
        (
            counting(event="a", properties=[{"type": "hogql", "key": "1"}]),
            "unsupported-property-filter",
            "Property filters of type 'hogql' cannot be computed.",
        ),
        (
            counting(event="a", properties=[{"type": "cohort", "value": 99}]),
            "unsupported-property-filter",
            "Cohort with id 99 does not exist",
        ),
        (
            counting(event="a") | {"source": WAREHOUSE},
            "data-warehouse-not-connected",
            "Data warehouse tables are not connected to this project.",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["blocking", "force_cache"])
def test_metric__cannot_be_computed__is_refused(asker: Asker, metric: Any, code: str, detail: str, mode: str) -> None:
    experiment = asker.experiments.running()
    query = {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": metric}
    asker.experiments.refused(asker.ask(query, refresh=mode), detail, code=code)


@pytest.mark.parametrize("multivariate", [None, {"variants": []}])
def test_exposures__no_variant__is_refused(asker: Asker, multivariate: Any) -> None:
    flag = {"key": "blue-button", "filters": {"multivariate": multivariate}}
    question = exposure_question(asker.experiments.made(), feature_flag=flag)
    asker.experiments.refused(asker.ask(question), "Feature flag has no variants")


def test_exposures__action_unknown__is_refused(asker: Asker) -> None:
    criteria = {"exposure_config": {"kind": "ActionsNode", "id": 99}}
    question = exposure_question(asker.experiments.made(), exposure_criteria=criteria)
    asker.experiments.refused(
        asker.ask(question),
        "Action(s) with ID 99 not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project.",
        code="action-not-found",
    )


@pytest.mark.parametrize("method", ["expose", "actors"])
@pytest.mark.usefixtures("hundred")
def test_time_limit__is_told_as_504(asker: Asker, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def too_slow(*args: Any, **kwargs: Any) -> None:
        raise StoreTimeout

    from events.store.units import ExposedUnits

    monkeypatch.setattr(PostgresEventStore if method == "expose" else ExposedUnits, method, too_slow)
    query = {"kind": "ExperimentQuery", "experiment_id": asker.experiments.running()["id"], "metric": SIGNUP}
    answer = asker.ask(query)
    assert answer.status_code == 504
    assert answer.json() == {
        "type": "server_error",
        "code": "query_timeout",
        "detail": "The query exceeded the time limit of 600 seconds.",
        "attr": None,
    }
    assert not StoredAnswer.objects.exists()


@pytest.mark.usefixtures("hundred")
@override_settings(EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS=7)
def test_time_limit__the_text_names_the_setting(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*args: Any, **kwargs: Any) -> None:
        raise StoreTimeout

    monkeypatch.setattr(PostgresEventStore, "expose", too_slow)
    answer = asker.ask(exposure_question(asker.experiments.made()))
    assert answer.json()["detail"] == "The query exceeded the time limit of 7 seconds."


# --- Access ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["query:read"], 200), (["experiment:read"], 200), (["experiment:write"], 200), (["feature_flag:read"], 403)],
)
def test_scopes__query_or_experiment(asker: Asker, member: User, scopes: list[str], status: int) -> None:
    question = exposure_question(asker.experiments.made())
    client = APIClient(headers={"authorization": f"Bearer {key_for(member, scopes=scopes)}"})
    answer = client.post(asker.path, {"query": question})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["detail"] == "API key missing required scope 'query:read'"


def test_session__may_ask(asker: Asker, member: User) -> None:
    client = APIClient()
    client.force_login(member)
    answer = client.post(asker.path, {"query": exposure_question(asker.experiments.made())})
    assert answer.status_code == 200


@pytest.mark.parametrize("verb", ["get", "put", "patch", "delete"])
def test_other_verbs__are_not_allowed(asker: Asker, verb: str) -> None:
    assert getattr(asker.experiments.client, verb)(asker.path).status_code == 405
