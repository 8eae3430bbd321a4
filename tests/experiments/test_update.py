"""PATCH experiments/{id}/: plain fields, the order of rules, and what a refusal leaves."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from events.models import Action
from experiments.models import Experiment
from projects.models import Project, User
from tests.experiments.conftest import ENDED, STARTED, Experiments, activity_of, everything, flag_of, variants
from tests.experiments.documents import action as action_node
from tests.experiments.documents import mean

PLAIN: dict[str, Any] = {
    "name": "Green button",
    "description": "Why not green?",
    "secondary_metrics": [{"anything": 1}],
    "filters": {"own": ["document"]},
    "exposure_criteria": {"own": 1.0},
    "stats_config": {"method": "frequentist", "own": None},
    "scheduling_config": {"timeseries": True, "own": [1]},
    "conclusion": "won",
    "conclusion_comment": "At last",
    "exposure_preaggregation_enabled": True,
    "only_count_matured_users": True,
    "running_time_calculation": {"recommended_sample_size": 5.5},
    "primary_metrics_ordered_uuids": ["not-there"],
    "secondary_metrics_ordered_uuids": [],
}


@pytest.mark.parametrize("field", PLAIN)
@pytest.mark.parametrize("state", ["draft", "running", "stopped"])
def test_update__plain_field__is_written_in_any_state(experiments: Experiments, field: str, state: str) -> None:
    made = {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state]()
    changed = experiments.changed(made["id"], **{field: PLAIN[field]})

    assert changed[field] == PLAIN[field]
    assert changed["updated_at"] > made["updated_at"]
    kept = made.keys() - {field, "updated_at", "parameters"}
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}
    assert experiments.read(made["id"]) == changed


@pytest.mark.parametrize(
    "field",
    [
        *("description", "exposure_criteria", "stats_config", "scheduling_config", "conclusion", "conclusion_comment"),
        *("primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids"),
    ],
)
def test_update__null__clears_the_field_and_adds_no_default(experiments: Experiments, field: str) -> None:
    made = experiments.made(**PLAIN)

    assert made[field] is not None
    assert experiments.changed(made["id"], **{field: None})[field] is None


@pytest.mark.parametrize(
    ("field", "cleared"),
    [
        *(("running_time_calculation", {}), ("excluded_variants", [])),
        *(("secondary_metrics", []), ("metrics", []), ("metrics_secondary", []), ("saved_metrics_ids", [])),
    ],
)
def test_update__null_that_means_empty__clears_the_field(
    experiments: Experiments, saved_metric: Callable[..., Any], field: str, cleared: Any
) -> None:
    made = experiments.made(
        parameters={"feature_flag_variants": variants(20, 30, 50)},
        running_time_calculation={"recommended_sample_size": 1},
        excluded_variants=["third"],
        secondary_metrics=[{"a": 1}],
        metrics=[mean()],
        metrics_secondary=[mean()],
        saved_metrics_ids=[{"id": saved_metric().pk}],
    )

    assert made[field] != cleared
    assert experiments.changed(made["id"], **{field: None})[field] == cleared


def test_update__documents__are_replaced_wholesale(experiments: Experiments) -> None:
    made = experiments.made(**PLAIN)
    documents: dict[str, Any] = {
        "filters": {"other": 1},
        "exposure_criteria": {},
        "stats_config": {},
        "scheduling_config": {},
        "running_time_calculation": {"minimum_detectable_effect": 1},
        "secondary_metrics": [],
    }
    changed = experiments.changed(made["id"], **documents)

    assert {name: changed[name] for name in documents} == documents


@pytest.mark.parametrize("body", [{}, {"unknown": 1}, {"tags": ["a"]}, {"status": "running"}, {"id": 5}])
@pytest.mark.parametrize("state", ["draft", "running", "stopped"])
def test_update__that_says_nothing__changes_nothing(experiments: Experiments, state: str, body: dict[str, Any]) -> None:
    made = {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state]()
    before = everything()

    assert experiments.changed(made["id"], **body) == made
    assert everything() == before


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Blue button"},
        {"name": " Blue button "},
        {"description": ""},
        {"start_date": "2026-01-01T01:00:00+01:00"},
        {"end_date": "2026-02-01"},
        {"archived": False},
        {"deleted": "false"},
        {"stats_config": {"method": "bayesian"}},
        {"metrics": []},
        {"conclusion": None},
        {"running_time_calculation": {}},
        {"excluded_variants": []},
        {"feature_flag_key": "blue-button"},
        {"type": "product"},
        {"_create_in_folder": None},
        {"saved_metrics_ids": []},
        {"holdout_id": None},
        {"parameters": {}},
        {"update_feature_flag_params": True},
    ],
    ids=str,
)
def test_update__equal_value__changes_nothing(experiments: Experiments, body: dict[str, Any]) -> None:
    made = experiments.stopped()
    before = everything()

    assert experiments.changed(made["id"], **body) == made
    assert everything() == before


@pytest.mark.parametrize(
    "body", [{"stats_config": {"own": 1}}, {"filters": {"a": 1.0}}, {"secondary_metrics": [{"a": True}]}]
)
def test_update__other_form_of_a_number__is_a_change(experiments: Experiments, body: dict[str, Any]) -> None:
    made = experiments.made(stats_config={"own": 1.0}, filters={"a": 1}, secondary_metrics=[{"a": 1}])
    changed = experiments.changed(made["id"], **body)

    assert changed["updated_at"] > made["updated_at"]


def test_update__one_field__writes_one_row_and_one_entry(
    experiments: Experiments, project: Project, owner: User, client_for: Callable[..., Any]
) -> None:
    made, other = experiments.made(), experiments.made(name="Other", feature_flag_key="other")
    before = everything()
    Experiments(client_for(owner), project).changed(made["id"], name="Green")
    after = everything()

    assert [row for row in after["Experiment"] if row not in before["Experiment"]] == [after["Experiment"][0]]
    assert after["FeatureFlag"] == before["FeatureFlag"]
    entry = activity_of(made)[-1]
    assert (entry.activity, entry.user, entry.detail["name"]) == ("updated", owner, "Green")
    assert entry.detail["changes"] == [
        {"type": "Experiment", "action": "changed", "field": "name", "before": "Blue button", "after": "Green"}
    ]
    assert experiments.read(other["id"]) == other


def test_update__caller__is_not_made_the_creator(
    experiments: Experiments, project: Project, owner: User, client_for: Callable[..., Any]
) -> None:
    made = experiments.made()
    changed = Experiments(client_for(owner), project).changed(made["id"], name="Green")

    assert changed["created_by"] == made["created_by"]
    assert changed["created_at"] == made["created_at"]


# Not found


@pytest.mark.parametrize("unknown", ["0", "99999999", "-1", "abc", str(2**63), "1" * 30, "1.5"])
@pytest.mark.parametrize("method", ["get", "patch"])
def test_unknown_id__is_not_found_whatever_is_sent(experiments: Experiments, unknown: str, method: str) -> None:
    answer = getattr(experiments.client, method)(experiments.url(unknown), {"name": ""} if method == "patch" else None)

    assert answer.status_code == 404
    assert answer.json() == {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}


def test_update__of_another_project__is_not_found(
    experiments: Experiments, foreign_project: Project, outsider_api: Any
) -> None:
    theirs = Experiments(outsider_api, foreign_project).made()
    before = everything()

    assert experiments.get(theirs["id"]).status_code == 404
    assert experiments.patch(theirs["id"], {"name": "Mine"}).status_code == 404
    assert everything() == before


def test_update__unreadable_body_of_an_unknown_experiment__is_not_found(experiments: Experiments) -> None:
    answer = experiments.client.patch(experiments.url(5), data="{", content_type="application/json")

    assert answer.status_code == 404


def test_update__unreadable_body__is_a_parse_error(experiments: Experiments) -> None:
    made = experiments.made()
    answer = experiments.client.patch(experiments.url(made["id"]), data="{", content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert answer.json()["type"] == "invalid_request"


@pytest.mark.parametrize("sent", [[], [1], "x", 5, None, True])
def test_update__no_object__is_refused_as_a_whole(experiments: Experiments, sent: Any) -> None:
    made = experiments.made()
    names = {list: "list", str: "str", int: "int", type(None): "NoneType", bool: "bool"}

    experiments.refused(
        experiments.client.patch(experiments.url(made["id"]), json.dumps(sent), content_type="application/json"),
        f"Invalid data. Expected a dictionary, but got {names[type(sent)]}.",
    )


# Other verbs


@pytest.mark.parametrize("path", ["", "99999999", "abc"])
def test_delete__is_refused_with_an_empty_body(experiments: Experiments, path: str) -> None:
    answer = experiments.client.delete(experiments.url(path or experiments.made()["id"]))

    assert (answer.status_code, answer.content) == (405, b"")
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "PATCH"]
    assert Experiment.objects.filter(deleted=True).count() == 0


def test_put__is_not_offered(experiments: Experiments) -> None:
    answer = experiments.client.put(experiments.url(experiments.made()["id"]), {"name": "x"})

    assert answer.status_code == 405
    assert answer.json() == {
        "type": "invalid_request",
        "code": "method_not_allowed",
        "detail": 'Method "PUT" not allowed.',
        "attr": None,
    }


# Refused values: as on creation

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"description": []}, "description"),
    ({"start_date": "x"}, "start_date"),
    ({"end_date": "x"}, "end_date"),
    ({"feature_flag_key": None}, "feature_flag_key"),
    ({"feature_flag": {"filters": 5}}, "feature_flag__filters__non_field_errors"),
    ({"holdout_id": 7}, "holdout_id"),
    ({"parameters": 5}, "parameters"),
    ({"running_time_calculation": {"own": 1}}, "running_time_calculation"),
    ({"excluded_variants": 5}, "excluded_variants"),
    ({"secondary_metrics": 5}, "secondary_metrics"),
    ({"filters": None}, "filters"),
    ({"archived": None}, "archived"),
    ({"deleted": 5}, "deleted"),
    ({"type": 5}, "type"),
    ({"exposure_criteria": {"filterTestAccounts": None}}, "exposure_criteria"),
    ({"stats_config": 5}, "stats_config"),
    ({"scheduling_config": 5}, "scheduling_config"),
    ({"_create_in_folder": []}, "_create_in_folder"),
    ({"conclusion": 5}, "conclusion"),
    ({"conclusion_comment": []}, "conclusion_comment"),
    ({"primary_metrics_ordered_uuids": 5}, "primary_metrics_ordered_uuids"),
    ({"secondary_metrics_ordered_uuids": 5}, "secondary_metrics_ordered_uuids"),
    ({"exposure_preaggregation_enabled": None}, "exposure_preaggregation_enabled"),
    ({"only_count_matured_users": None}, "only_count_matured_users"),
]


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(WRONG)), ids=lambda pair: pair[1])
@pytest.mark.parametrize("state", ["draft", "stopped"])
def test_update__two_wrong_fields__the_earlier_is_told_and_nothing_is_written(
    experiments: Experiments,
    state: str,
    earlier: tuple[dict[str, Any], str],
    later: tuple[dict[str, Any], str],
) -> None:
    made = {"draft": experiments.made, "stopped": experiments.stopped}[state]()
    before = everything()
    answer = experiments.patch(made["id"], later[0] | earlier[0])

    assert (answer.status_code, answer.json()["attr"]) == (400, earlier[1])
    assert everything() == before


UNKNOWN_ACTION = (
    "Action(s) with ID 7 not found or deleted. "
    "Each ActionsNode must reference an existing action belonging to this project."
)
# Of a running experiment, in the order in which rules are tested.
STAGES: list[tuple[dict[str, Any], str]] = [
    ({"conclusion": "perfect"}, '"perfect" is not a valid choice.'),
    ({"exposure_criteria": {"exposure_config": {"id": 7}}}, UNKNOWN_ACTION),
    ({"type": "web"}, "Can't update keys: type on Experiment"),
    ({"end_date": STARTED}, "End date must be after start date"),
    (
        {"parameters": {"feature_flag_variants": variants(50, 50, keys=("control", "other"))}},
        "Can't update feature_flag_variants on Experiment",
    ),
    ({"metrics_secondary": 5}, "Metrics must be a list"),
    ({"metrics": [mean(action_node(7))]}, UNKNOWN_ACTION),
    ({"saved_metrics_ids": 5}, 'Expected a list of items but got type "int".'),
    ({"stats_config": {"method": "x"}}, "Invalid stats method: 'x'. Must be one of: bayesian, frequentist"),
    ({"excluded_variants": ["control"]}, "baseline variant cannot be excluded ('control')"),
    ({"archived": True}, "Experiment must be ended before it can be archived."),
]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(earlier, later) for place, earlier in enumerate(STAGES) for later in STAGES[place + 1 :]],
    ids=lambda stage: str(stage[1])[:30],
)
def test_update__two_broken_rules__the_earlier_stage_is_told_and_nothing_is_written(
    experiments: Experiments, earlier: tuple[dict[str, Any], str], later: tuple[dict[str, Any], str]
) -> None:
    made = experiments.running()
    before = everything()
    answer = experiments.patch(made["id"], {**later[0], **earlier[0], "name": "Never"})

    assert (answer.status_code, answer.json()["detail"]) == (400, earlier[1])
    assert everything() == before


# Values across fields


@pytest.mark.parametrize(
    "body", [{"start_date": ENDED}, {"start_date": "2026-03-01"}, {"end_date": STARTED}, {"end_date": "2025-01-01"}]
)
def test_update__dates_in_the_wrong_order_with_the_stored_one__are_refused(
    experiments: Experiments, body: dict[str, str]
) -> None:
    experiments.refused(experiments.patch(experiments.stopped()["id"], body), "End date must be after start date")


def test_update__start_not_before_the_stored_end_of_a_draft__is_refused(experiments: Experiments) -> None:
    made = experiments.made(end_date=ENDED)

    experiments.refused(experiments.patch(made["id"], {"start_date": ENDED}), "End date must be after start date")
    assert experiments.changed(made["id"], start_date=STARTED)["status"] == "stopped"


@pytest.mark.parametrize("state", ["draft", "running"])
def test_update__global_filter_properties__are_refused(experiments: Experiments, state: str) -> None:
    made = experiments.made() if state == "draft" else experiments.running()

    experiments.refused(
        experiments.patch(made["id"], {"filters": {"properties": [{"key": "a"}]}}),
        "Experiments do not support global filter properties",
    )


@pytest.mark.parametrize("filters", [{"properties": []}, {"properties": {}}, {"properties": None}, {"own": 1}])
def test_update__filters_without_properties__are_taken(experiments: Experiments, filters: dict[str, Any]) -> None:
    assert experiments.changed(experiments.made()["id"], filters=filters)["filters"] == filters


def test_update__stored_filter_properties__may_be_sent_again(experiments: Experiments) -> None:
    made = experiments.made(filters={"properties": [{"key": "a"}]})
    changed = experiments.changed(made["id"], filters={"properties": [{"key": "a"}], "own": 1})

    assert changed["filters"] == {"properties": [{"key": "a"}], "own": 1}


def test_update__action_gone_since__is_not_asked_again_in_exposure_criteria(
    experiments: Experiments, action: Callable[..., Action]
) -> None:
    gone = action()
    criteria = {"exposure_config": {"kind": "ActionsNode", "id": gone.pk}}
    made = experiments.made(exposure_criteria=criteria)
    Action.objects.update(deleted=True)
    changed = experiments.changed(made["id"], exposure_criteria={**criteria, "activation_config": {"id": gone.pk}})

    assert changed["exposure_criteria"]["activation_config"] == {"kind": "ActionsNode", "id": gone.pk}


def test_update__conclusion__is_written_without_touching_flag_and_dates(experiments: Experiments) -> None:
    made = experiments.running()
    changed = experiments.changed(made["id"], conclusion="won", conclusion_comment="")

    assert (changed["conclusion"], changed["conclusion_comment"], changed["status"]) == ("won", "", "running")
    assert flag_of(changed).version == 1
