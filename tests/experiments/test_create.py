"""POST experiments/: the fields, their defaults, and the order in which rules are tested."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from common.datetimes import parse_datetime
from events.models import Action
from experiments.models import Experiment, ExperimentHoldout
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.experiments.conftest import ENDED, STARTED, Experiments, everything, saved_query, variants
from tests.experiments.documents import action as action_node
from tests.experiments.documents import mean

KEYS = [
    *("id", "name", "description", "start_date", "end_date", "feature_flag_key", "feature_flag", "holdout"),
    *("holdout_id", "exposure_cohort", "parameters", "running_time_calculation", "excluded_variants"),
    *("secondary_metrics", "saved_metrics", "saved_metrics_ids", "filters", "archived", "deleted", "created_by"),
    *("created_at", "updated_at", "type", "exposure_criteria", "metrics", "metrics_secondary", "stats_config"),
    *("scheduling_config", "folder", "conclusion", "conclusion_comment", "primary_metrics_ordered_uuids"),
    *("secondary_metrics_ordered_uuids", "exposure_preaggregation_enabled", "only_count_matured_users", "status"),
    "user_access_level",
]


def test_create__required_fields_only__has_every_field_at_its_default(experiments: Experiments, member: User) -> None:
    before = timezone.now()
    made = experiments.made()

    assert sorted(made) == sorted(KEYS)
    assert before < parse_datetime(made.pop("created_at"), attr="") < timezone.now()
    assert before < parse_datetime(made.pop("updated_at"), attr="") < timezone.now()
    flag = FeatureFlag.objects.get(key="blue-button")
    assert made.pop("feature_flag")["id"] == flag.pk
    created_by = made.pop("created_by")
    assert (created_by["id"], created_by["email"]) == (member.pk, member.email)
    assert made == {
        "id": Experiment.objects.get().pk,
        "name": "Blue button",
        "description": "",
        "start_date": None,
        "end_date": None,
        "feature_flag_key": "blue-button",
        "holdout": None,
        "holdout_id": None,
        "exposure_cohort": None,
        "parameters": {
            "feature_flag_variants": [
                {"key": "control", "name": "Control Group", "rollout_percentage": 50, "split_percent": 50},
                {"key": "test", "name": "Test Variant", "rollout_percentage": 50, "split_percent": 50},
            ]
        },
        "running_time_calculation": {},
        "excluded_variants": [],
        "secondary_metrics": [],
        "saved_metrics": [],
        "saved_metrics_ids": [],
        "filters": {},
        "archived": False,
        "deleted": False,
        "type": "product",
        "exposure_criteria": {"filterTestAccounts": True},
        "metrics": [],
        "metrics_secondary": [],
        "stats_config": {"method": "bayesian"},
        "scheduling_config": None,
        "folder": None,
        "conclusion": None,
        "conclusion_comment": None,
        "primary_metrics_ordered_uuids": None,
        "secondary_metrics_ordered_uuids": None,
        "exposure_preaggregation_enabled": False,
        "only_count_matured_users": False,
        "status": "draft",
        "user_access_level": "editor",
    }


SENT: dict[str, Any] = {
    "name": "Green button",
    "description": "Why not green?",
    "excluded_variants": [],
    "secondary_metrics": [{"anything": 1}],
    "filters": {"own": ["document"]},
    "type": "web",
    "exposure_criteria": {"filterTestAccounts": False, "own": 1.0},
    "stats_config": {"method": "frequentist", "frequentist": {"alpha": 0.10}, "own": None},
    "scheduling_config": {"timeseries": True, "own": [1]},
    "conclusion": "won",
    "conclusion_comment": "At last",
    "primary_metrics_ordered_uuids": ["not-there"],
    "secondary_metrics_ordered_uuids": [],
    "exposure_preaggregation_enabled": True,
    "only_count_matured_users": True,
    "running_time_calculation": {"minimum_detectable_effect": 5, "exposure_estimate_config": {"own": 1}},
    "start_date": "2026-01-01T00:00:00Z",
    "end_date": "2026-02-01T00:00:00.250000Z",
    "archived": True,
}


def test_create__every_plain_field__is_kept_as_sent(experiments: Experiments) -> None:
    made = experiments.made(**SENT)

    assert {name: made[name] for name in SENT} == SENT
    assert made["status"] == "stopped"


@pytest.mark.parametrize(
    "field",
    [
        *("description", "type", "scheduling_config", "conclusion", "conclusion_comment", "start_date", "end_date"),
        *("holdout_id", "primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids"),
    ],
)
def test_create__null_in_a_nullable_field__stays_null(experiments: Experiments, field: str) -> None:
    assert experiments.made(**{field: None})[field] is None


@pytest.mark.parametrize(
    ("field", "meaning"),
    [
        ("running_time_calculation", {}),
        ("excluded_variants", []),
        ("secondary_metrics", []),
        ("saved_metrics_ids", []),
        ("metrics", []),
        ("metrics_secondary", []),
        ("deleted", False),
        ("exposure_criteria", {"filterTestAccounts": True}),
        ("stats_config", {"method": "bayesian"}),
    ],
)
def test_create__null_that_means_a_default__is_the_default(experiments: Experiments, field: str, meaning: Any) -> None:
    assert experiments.made(**{field: None})[field] == meaning


def test_create__null_parameters__reads_as_the_flags_variants(experiments: Experiments) -> None:
    made = experiments.made(parameters=None)

    assert [variant["key"] for variant in made["parameters"]["feature_flag_variants"]] == ["control", "test"]


def test_create__unknown_and_read_only_keys__are_ignored(experiments: Experiments) -> None:
    ignored = {"id": 7, "status": "running", "tags": ["a"], "user_access_level": "x", "created_at": STARTED, "x": 1}
    made = experiments.made(**ignored, allow_unknown_events=True, holdout={"id": 5}, saved_metrics=[{"id": 5}])

    assert made["status"] == "draft"
    assert made["holdout"] is None
    assert "tags" not in made


def test_create__texts__are_trimmed_but_not_inside_documents(experiments: Experiments) -> None:
    made = experiments.made(
        name="  Blue  ", description=" why ", feature_flag_key=" k ", conclusion_comment=" c ", filters={"own": " x "}
    )

    assert (made["name"], made["description"], made["feature_flag_key"]) == ("Blue", "why", "k")
    assert made["conclusion_comment"] == "c"
    assert made["filters"] == {"own": " x "}


@pytest.mark.parametrize("sent", ["true", "1", 1, "True"])
def test_create__boolean_as_text_or_number__is_taken(experiments: Experiments, sent: Any) -> None:
    assert experiments.made(only_count_matured_users=sent)["only_count_matured_users"] is True


def test_create__same_name_twice__is_fine(experiments: Experiments) -> None:
    first, second = experiments.made(), experiments.made(feature_flag_key="other")

    assert (first["name"], first["id"]) != (second["name"], second["id"])


def test_create__folder__applies_to_experiment_and_flag(experiments: Experiments) -> None:
    made = experiments.made(_create_in_folder="Shop/Buttons")

    assert made["folder"] == "Shop/Buttons"
    assert FeatureFlag.objects.get().folder == "Shop/Buttons"


def test_create__deleted__is_stored_as_sent(experiments: Experiments) -> None:
    made = experiments.made(deleted=True)

    assert made["deleted"] is True
    assert experiments.get(made["id"]).status_code == 404
    assert experiments.names() == []


def test_create__project_defaults__enter_where_the_request_is_silent(
    experiments: Experiments, project: Project
) -> None:
    project.default_only_count_matured_users = True
    project.save()

    assert experiments.made()["only_count_matured_users"] is True
    assert experiments.made(only_count_matured_users=False)["only_count_matured_users"] is False


# Dates


def test_create__with_start_date__is_launched(experiments: Experiments) -> None:
    made = experiments.made(start_date=STARTED)

    assert (made["start_date"], made["end_date"], made["status"]) == (STARTED, None, "running")
    assert made["feature_flag"]["active"] is True


def test_create__with_a_start_date_to_come__is_launched(experiments: Experiments) -> None:
    assert experiments.made(start_date="2100-01-01")["status"] == "running"


def test_create__with_end_date_only__is_a_draft(experiments: Experiments) -> None:
    made = experiments.made(end_date=ENDED)

    assert (made["status"], made["end_date"], made["feature_flag"]["active"]) == ("draft", ENDED, False)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        ("2026-01-01T10:23", "2026-01-01T10:23:00Z"),
        ("2026-01-01T10:23:05+02:00", "2026-01-01T08:23:05Z"),
        ("2026-01-01T10:23:05.000001", "2026-01-01T10:23:05.000001Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_create__instant__is_read_back_in_utc(experiments: Experiments, sent: str, read: str) -> None:
    assert experiments.made(start_date=sent)["start_date"] == read


@pytest.mark.parametrize("end", [STARTED, "2025-12-31T23:59:59Z"])
def test_create__end_not_after_start__is_refused(experiments: Experiments, end: str) -> None:
    experiments.refused(experiments.try_new(start_date=STARTED, end_date=end), "End date must be after start date")


@pytest.mark.parametrize("dates", [{}, {"start_date": STARTED}, {"end_date": ENDED}])
def test_create__archived_without_both_dates__is_refused(experiments: Experiments, dates: dict[str, str]) -> None:
    experiments.refused(
        experiments.try_new(archived=True, **dates), "Experiment must be ended before it can be archived."
    )


# Refused fields

WRONG_DATE = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)


@pytest.mark.parametrize(
    ("field", "value", "code", "detail"),
    [
        ("name", "", "blank", "This field may not be blank."),
        ("name", "   ", "blank", "This field may not be blank."),
        ("name", None, "null", "This field may not be null."),
        ("name", "x" * 401, "max_length", "Ensure this field has no more than 400 characters."),
        ("name", [], "invalid_input", "Not a valid string."),
        ("name", True, "invalid_input", "Not a valid string."),
        ("description", "x" * 3001, "max_length", "Ensure this field has no more than 3000 characters."),
        ("description", {}, "invalid_input", "Not a valid string."),
        ("feature_flag_key", "", "blank", "This field may not be blank."),
        ("feature_flag_key", None, "null", "This field may not be null."),
        ("feature_flag_key", ["k"], "invalid_input", "Not a valid string."),
        ("start_date", "soon", "invalid_input", WRONG_DATE),
        ("start_date", 5, "invalid_input", WRONG_DATE),
        ("end_date", "", "invalid_input", WRONG_DATE),
        ("end_date", "9999-12-31T23:59:59-01:00", "overflow", "Datetime value out of range."),
        ("holdout_id", 123456, "does_not_exist", 'Invalid pk "123456" - object does not exist.'),
        ("holdout_id", 2**64, "does_not_exist", f'Invalid pk "{2**64}" - object does not exist.'),
        ("holdout_id", "five", "incorrect_type", "Incorrect type. Expected pk value, received str."),
        ("holdout_id", [5], "incorrect_type", "Incorrect type. Expected pk value, received list."),
        ("holdout_id", {}, "incorrect_type", "Incorrect type. Expected pk value, received dict."),
        ("holdout_id", True, "incorrect_type", "Incorrect type. Expected pk value, received bool."),
        ("holdout_id", 1.5, "incorrect_type", "Incorrect type. Expected pk value, received float."),
        ("parameters", [], "invalid_input", "parameters must be an object"),
        ("running_time_calculation", "x", "invalid_input", "running_time_calculation must be an object"),
        ("excluded_variants", "test", "invalid_input", "excluded_variants must be a list of strings"),
        ("excluded_variants", ["test", 5], "invalid_input", "excluded_variants must be a list of strings"),
        ("secondary_metrics", {}, "invalid_input", "secondary_metrics must be a list"),
        ("filters", None, "null", "This field may not be null."),
        ("filters", [], "invalid_input", "filters must be an object"),
        ("archived", None, "null", "This field may not be null."),
        ("archived", "perhaps", "invalid_input", "Must be a valid boolean."),
        ("deleted", 2, "invalid_input", "Must be a valid boolean."),
        ("deleted", [], "invalid_input", "Must be a valid boolean."),
        ("type", "amazing", "invalid_choice", '"amazing" is not a valid choice.'),
        ("type", "", "invalid_choice", '"" is not a valid choice.'),
        ("stats_config", [], "invalid_input", "stats_config must be an object"),
        ("scheduling_config", "daily", "invalid_input", "scheduling_config must be an object"),
        ("scheduling_config", {"timeseries": 1}, "invalid_input", "scheduling_config.timeseries must be a boolean"),
        ("conclusion", "perfect", "invalid_choice", '"perfect" is not a valid choice.'),
        ("conclusion_comment", "x" * 4001, "max_length", "Ensure this field has no more than 4000 characters."),
        (
            *("primary_metrics_ordered_uuids", "a", "invalid_input"),
            "primary_metrics_ordered_uuids must be a list of strings",
        ),
        (
            *("secondary_metrics_ordered_uuids", ["a", None], "invalid_input"),
            "secondary_metrics_ordered_uuids must be a list of strings",
        ),
        ("exposure_preaggregation_enabled", None, "null", "This field may not be null."),
        ("only_count_matured_users", "x", "invalid_input", "Must be a valid boolean."),
        ("update_feature_flag_params", {}, "invalid_input", "Must be a valid boolean."),
        ("_create_in_folder", {}, "invalid_input", "Not a valid string."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_create__wrong_value__is_refused_at_its_field_and_writes_nothing(
    experiments: Experiments, field: str, value: Any, code: str, detail: str
) -> None:
    before = everything()
    answer = experiments.try_new(**{field: value})

    experiments.refused(answer, detail, attr=field, code=code)
    assert everything() == before


@pytest.mark.parametrize("missing", ["name", "feature_flag_key"])
def test_create__required_field_absent__is_refused(experiments: Experiments, missing: str) -> None:
    body = {"name": "Blue button", "feature_flag_key": "blue-button"}
    del body[missing]

    experiments.refused(experiments.post(body), "This field is required.", attr=missing, code="required")


def test_create__longest_texts__are_taken(experiments: Experiments) -> None:
    made = experiments.made(
        name="n" * 400, description="d" * 3000, conclusion_comment="c" * 4000, feature_flag_key="k" * 400
    )

    assert (len(made["name"]), len(made["feature_flag_key"])) == (400, 400)


def test_create__no_object__is_refused_as_a_whole(experiments: Experiments) -> None:
    experiments.refused(experiments.post([1]), "Invalid data. Expected a dictionary, but got list.")


def test_create__holdout_of_another_project__is_unknown(experiments: Experiments, foreign_project: Project) -> None:
    foreign = ExperimentHoldout.objects.create(
        project=foreign_project, name="x", filters=[{"properties": [], "rollout_percentage": 5, "variant": "x"}]
    )
    experiments.refused(
        experiments.try_new(holdout_id=foreign.pk),
        f'Invalid pk "{foreign.pk}" - object does not exist.',
        attr="holdout_id",
        code="does_not_exist",
    )


# Access


def test_create__key_with_the_scope__suffices_for_the_flag_too(
    project: Project, member: User, client_for: Callable[..., Any]
) -> None:
    made = Experiments(client_for(member, scopes=["experiment:write"]), project).made()

    assert FeatureFlag.objects.get().pk == made["feature_flag"]["id"]


def test_create__key_that_only_reads__is_refused(
    project: Project, member: User, client_for: Callable[..., Any]
) -> None:
    answer = Experiments(client_for(member, scopes=["experiment:read", "feature_flag:write"]), project).try_new()

    assert (answer.status_code, answer.json()["detail"]) == (403, "API key missing required scope 'experiment:write'")
    assert Experiment.objects.count() == 0


def test_create__outsider__is_refused(outsider_api: Any, project: Project) -> None:
    answer = Experiments(outsider_api, project).try_new()

    assert (answer.status_code, answer.json()["detail"]) == (403, "You don't have access to the project.")
    assert Experiment.objects.count() == 0


# Order of rules: of two broken ones the earlier is told.

FIELD_ORDER: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"description": []}, "description"),
    ({"start_date": "x"}, "start_date"),
    ({"end_date": "x"}, "end_date"),
    ({"feature_flag_key": ""}, "feature_flag_key"),
    ({"feature_flag": {"filters": 5}}, "feature_flag__filters__non_field_errors"),
    ({"holdout_id": "x"}, "holdout_id"),
    ({"parameters": 5}, "parameters"),
    ({"running_time_calculation": 5}, "running_time_calculation"),
    ({"excluded_variants": 5}, "excluded_variants"),
    ({"secondary_metrics": 5}, "secondary_metrics"),
    ({"filters": 5}, "filters"),
    ({"archived": 5}, "archived"),
    ({"deleted": 5}, "deleted"),
    ({"type": 5}, "type"),
    ({"exposure_criteria": 5}, "exposure_criteria"),
    ({"stats_config": 5}, "stats_config"),
    ({"scheduling_config": 5}, "scheduling_config"),
    ({"conclusion": 5}, "conclusion"),
    ({"conclusion_comment": []}, "conclusion_comment"),
    ({"primary_metrics_ordered_uuids": 5}, "primary_metrics_ordered_uuids"),
    ({"secondary_metrics_ordered_uuids": 5}, "secondary_metrics_ordered_uuids"),
    ({"exposure_preaggregation_enabled": 5}, "exposure_preaggregation_enabled"),
    ({"only_count_matured_users": 5}, "only_count_matured_users"),
]


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(FIELD_ORDER)), ids=lambda pair: pair[1])
def test_create__two_wrong_fields__the_earlier_in_the_table_is_told(
    experiments: Experiments, earlier: tuple[dict[str, Any], str], later: tuple[dict[str, Any], str]
) -> None:
    answer = experiments.post({"name": "n", "feature_flag_key": "k"} | later[0] | earlier[0])

    assert answer.status_code == 400
    assert answer.json()["attr"] == earlier[1]


UNKNOWN_ACTION = (
    "Action(s) with ID 7 not found or deleted. "
    "Each ActionsNode must reference an existing action belonging to this project."
)
UNKNOWN_LINK = "Saved metric does not exist or does not belong to this project"
STAGES: list[tuple[dict[str, Any], str]] = [
    ({"conclusion": "perfect"}, '"perfect" is not a valid choice.'),
    ({"archived": True}, "Experiment must be ended before it can be archived."),
    ({"start_date": ENDED, "end_date": STARTED}, "End date must be after start date"),
    ({"metrics_secondary": 5}, "Metrics must be a list"),
    ({"metrics": [mean(action_node(7))]}, UNKNOWN_ACTION),
    ({"saved_metrics_ids": [{"id": 123}]}, UNKNOWN_LINK),
    ({"feature_flag_key": "no/key"}, "Only letters, numbers, hyphens (-) & underscores (_) are allowed."),
    (
        {"stats_config": {"method": "magic"}},
        "Invalid stats method: 'magic'. Must be one of: bayesian, frequentist",
    ),
    (
        {"stats_config": {"baseline_variant_key": "nobody"}},
        "Invalid baseline_variant_key: 'nobody'. Must be one of: control, test",
    ),
    ({"excluded_variants": ["control"]}, "baseline variant cannot be excluded ('control')"),
]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (earlier, later)
        for position, earlier in enumerate(STAGES)
        for later in STAGES[position + 1 :]
        if earlier[0].keys().isdisjoint(later[0])
        and not ("end_date" in later[0] and "archived" in earlier[0])  # both dates allow archiving
    ],
    ids=lambda stage: str(stage[1])[:30],
)
def test_create__two_broken_rules__the_earlier_stage_is_told_and_nothing_is_left(
    experiments: Experiments, earlier: tuple[dict[str, Any], str], later: tuple[dict[str, Any], str]
) -> None:
    before = everything()
    answer = experiments.try_new(**(later[0] | earlier[0]))

    assert answer.status_code == 400
    assert answer.json()["detail"] == earlier[1]
    assert everything() == before


def test_create__unknown_action_in_exposure_criteria__is_told_before_the_dates(experiments: Experiments) -> None:
    answer = experiments.try_new(exposure_criteria={"exposure_config": {"kind": "ActionsNode", "id": 7}}, archived=True)

    experiments.refused(answer, UNKNOWN_ACTION)


def test_create__actions_unknown_in_both_lists__are_named_together(
    experiments: Experiments, action: Callable[..., Action]
) -> None:
    known = action().pk
    answer = experiments.try_new(
        metrics=[mean(action_node(known + 2)), mean(action_node(known))],
        metrics_secondary=[mean(action_node(known + 1))],
    )

    experiments.refused(
        answer,
        f"Action(s) with ID {known + 1}, {known + 2} not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project.",
    )


def test_create__refused_after_the_flag_was_made__leaves_no_flag(experiments: Experiments) -> None:
    before = everything()
    experiments.refused(
        experiments.try_new(excluded_variants=["test"]),
        "at least one test variant must remain in analysis",
        attr="excluded_variants",
    )

    assert everything() == before


def test_create__refused_with_a_deleted_flag_of_that_key__leaves_it(experiments: Experiments, owner_api: Any) -> None:
    flag = owner_api.post(f"/api/projects/{experiments.project.pk}/feature_flags/", {"key": "blue-button"}).json()
    owner_api.patch(f"/api/projects/{experiments.project.pk}/feature_flags/{flag['id']}/", {"deleted": True})
    before = everything()

    experiments.refused(
        experiments.try_new(stats_config={"method": "x"}),
        "Invalid stats method: 'x'. Must be one of: bayesian, frequentist",
    )
    assert everything() == before


def test_create__web__reads_as_any_other(experiments: Experiments) -> None:
    made = experiments.made(type="web", parameters={"feature_flag_variants": variants(30, 70)})

    assert made["type"] == "web"
    assert "variants" not in made


def test_create__saved_query_helper__is_a_metric_of_the_service(
    experiments: Experiments, saved_metric: Callable[..., Any]
) -> None:
    saved = saved_metric()
    made = experiments.made(saved_metrics_ids=[{"id": saved.pk}])

    shown = made["saved_metrics"][0]["query"]
    assert {name: shown[name] for name in shown if name != "fingerprint"} == saved_query("saved-1")
