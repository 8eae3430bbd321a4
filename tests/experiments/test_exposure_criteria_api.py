"""`exposure_criteria` over REST."""

from collections.abc import Callable
from typing import Any

import pytest

from events.models import Action
from projects.models import Project
from tests.experiments.conftest import Experiments, everything

HINT = (
    "Expected either an event-based config like {'kind': 'ExperimentEventExposureConfig', 'event': '<event_name>', "
    "'properties': []} or an action-based config like {'kind': 'ActionsNode', 'id': <action_id>}."
)
SHAPE = "Expected shape: {'filterTestAccounts': <bool>, 'exposure_config': <object>}."
LONG = "x" * 100


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({}, {"filterTestAccounts": True}),
        ({"filterTestAccounts": None}, {"filterTestAccounts": True}),
        ({"filterTestAccounts": False}, {"filterTestAccounts": False}),
        ({"own": [1.0]}, {"own": [1.0], "filterTestAccounts": True}),
        (
            {"multiple_variant_handling": "first_seen"},
            {"multiple_variant_handling": "first_seen", "filterTestAccounts": True},
        ),
        (
            {"exposure_config": {"event": "seen", "properties": {}}},
            {
                "exposure_config": {"kind": "ExperimentEventExposureConfig", "event": "seen", "properties": []},
                "filterTestAccounts": True,
            },
        ),
    ],
    ids=str,
)
def test_create__criteria__are_stored_and_leave_test_accounts_out(
    experiments: Experiments, sent: Any, stored: Any
) -> None:
    assert experiments.made(exposure_criteria=sent)["exposure_criteria"] == stored


@pytest.mark.parametrize("sent", [{}, {"own": 1}, {"filterTestAccounts": True}])
def test_update__adds_nothing(experiments: Experiments, sent: Any) -> None:
    assert experiments.changed(experiments.made()["id"], exposure_criteria=sent)["exposure_criteria"] == sent


def test_action_config__by_its_id_alone__gets_its_kind(experiments: Experiments, action: Callable[..., Action]) -> None:
    seen = action().pk
    made = experiments.made(
        exposure_criteria={
            "exposure_config": {"id": seen, "math": "total"},
            "activation_config": {"kind": "ActionsNode", "id": seen, "properties": [{}]},
        }
    )

    assert made["exposure_criteria"]["exposure_config"] == {"kind": "ActionsNode", "id": seen, "math": "total"}
    assert made["exposure_criteria"]["activation_config"]["properties"] == [{}]


def of_config(name: str) -> list[tuple[Any, str]]:
    path = f"exposure_criteria.{name}"
    kinds = f"{path}.kind must be one of ['ExperimentEventExposureConfig', 'ActionsNode'], got"
    return [
        ({name: None}, f"{path} must be an object, got NoneType. {HINT}"),
        ({name: "seen"}, f"{path} must be an object, got str. {HINT}"),
        ({name: [1]}, f"{path} must be an object, got list. {HINT}"),
        ({name: {"kind": "EventsNode", "event": "seen"}}, f"{kinds} 'EventsNode'. {HINT}"),
        ({name: {"kind": None, "event": "seen"}}, f"{kinds} None. {HINT}"),
        ({name: {"kind": LONG}}, f"{kinds} '{'x' * 79}...(truncated). {HINT}"),
        ({name: {"kind": {"a": 1}}}, f"{kinds} {{'a': 1}}. {HINT}"),
    ]


WRONG: list[tuple[Any, str]] = [
    ([], f"exposure_criteria must be an object, got list. {SHAPE}"),
    ("x", f"exposure_criteria must be an object, got str. {SHAPE}"),
    (5, f"exposure_criteria must be an object, got int. {SHAPE}"),
    (1.5, f"exposure_criteria must be an object, got float. {SHAPE}"),
    (True, f"exposure_criteria must be an object, got bool. {SHAPE}"),
    ({"filterTestAccounts": "yes"}, "exposure_criteria.filterTestAccounts must be a boolean, got str: 'yes'."),
    ({"filterTestAccounts": 1}, "exposure_criteria.filterTestAccounts must be a boolean, got int: 1."),
    (
        {"filterTestAccounts": LONG},
        f"exposure_criteria.filterTestAccounts must be a boolean, got str: '{'x' * 79}...(truncated).",
    ),
    *of_config("exposure_config"),
    *of_config("activation_config"),
    (
        {"multiple_variant_handling": None},
        "exposure_criteria.multiple_variant_handling must be one of ['exclude', 'first_seen'], got None.",
    ),
    (
        {"multiple_variant_handling": "last_seen"},
        "exposure_criteria.multiple_variant_handling must be one of ['exclude', 'first_seen'], got 'last_seen'.",
    ),
]


@pytest.mark.parametrize("state", ["new", "running"])
@pytest.mark.parametrize(("sent", "detail"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_criteria__are_refused(experiments: Experiments, state: str, sent: Any, detail: str) -> None:
    made = experiments.running() if state == "running" else {}
    before = everything()
    body = {"exposure_criteria": sent}
    answer = experiments.patch(made["id"], body) if made else experiments.try_new(**body)

    experiments.refused(answer, detail, attr="exposure_criteria")
    assert everything() == before


def test_null_test_accounts__is_refused_by_patch(experiments: Experiments) -> None:
    experiments.refused(
        experiments.patch(experiments.made()["id"], {"exposure_criteria": {"filterTestAccounts": None}}),
        "exposure_criteria.filterTestAccounts must be a boolean, got NoneType: None.",
        attr="exposure_criteria",
    )


@pytest.mark.parametrize("name", ["exposure_config", "activation_config"])
@pytest.mark.parametrize(
    ("config", "kind", "field"),
    [
        ({"kind": "ExperimentEventExposureConfig"}, "ExperimentEventExposureConfig", "event"),
        ({"event": "seen"}, "ExperimentEventExposureConfig", "properties"),
        ({"event": 5, "properties": []}, "ExperimentEventExposureConfig", "event"),
        ({"event": "seen", "properties": [], "own": 1}, "ExperimentEventExposureConfig", "own"),
        ({"event": "seen", "properties": [{"key": 5}]}, "ExperimentEventExposureConfig", "key"),
        ({"id": "seven"}, "ActionsNode", "id"),
        ({"kind": "ActionsNode"}, "ActionsNode", "id"),
    ],
    ids=str,
)
def test_config_against_the_schema__is_refused_naming_the_field(
    experiments: Experiments, name: str, config: Any, kind: str, field: str
) -> None:
    answer = experiments.try_new(exposure_criteria={name: config})

    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], told["attr"]) == ("invalid_input", "exposure_criteria")
    assert told["detail"].startswith(f"Invalid exposure_criteria.{name} (kind='{kind}'): ")
    assert told["detail"].endswith(f". {HINT}")
    assert f"'{field}'" in told["detail"]


@pytest.mark.parametrize("name", ["exposure_config", "activation_config"])
@pytest.mark.parametrize("gone", ["unknown", "deleted", "foreign"])
def test_action__that_cannot_be_used__is_refused(
    experiments: Experiments, action: Callable[..., Action], foreign_project: Project, name: str, gone: str
) -> None:
    made = action(deleted=True) if gone == "deleted" else action(project=foreign_project)
    wanted = made.pk + 7 if gone == "unknown" else made.pk
    detail = (
        f"Action(s) with ID {wanted} not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project."
    )

    experiments.refused(experiments.try_new(exposure_criteria={name: {"id": wanted}}), detail)
    draft = experiments.made()
    experiments.refused(experiments.patch(draft["id"], {"exposure_criteria": {name: {"id": wanted}}}), detail)
