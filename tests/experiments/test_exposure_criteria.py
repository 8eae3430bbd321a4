"""Exposure criteria: what is stored of them, and in which words everything else is refused."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Invalid
from experiments import exposure_criteria
from tests.experiments.documents import action, any_json, nearly, outcome

HINT = (
    " Expected either an event-based config like {'kind': 'ExperimentEventExposureConfig', 'event': '<event_name>', "
    "'properties': []} or an action-based config like {'kind': 'ActionsNode', 'id': <action_id>}."
)
CONFIGS = ["exposure_config", "activation_config"]


def exposure(**more: Any) -> dict[str, Any]:
    return {"kind": "ExperimentEventExposureConfig", "event": "opened", "properties": [], **more}


def refusal_of(sent: Any, *, creating: bool = False) -> str:
    with pytest.raises(Invalid) as caught:
        exposure_criteria.parse(sent, creating=creating)
    assert (caught.value.code, caught.value.attr) == ("invalid_input", "exposure_criteria")
    return caught.value.detail


VALID = [
    {},
    {"filterTestAccounts": False},
    {"filterTestAccounts": True, "multiple_variant_handling": "first_seen", "of_my_own": {"kept": 1.0}},
    {"exposure_config": exposure()},
    {"exposure_config": exposure(properties=[{"key": "plan", "value": "pro", "operator": "exact", "type": "event"}])},
    {"exposure_config": action(3, name="A", properties=[]), "activation_config": exposure(event="")},
    {"activation_config": action(), "multiple_variant_handling": "exclude"},
]


@pytest.mark.parametrize("document", VALID, ids=str)
def test_parse__update__is_stored_as_sent(document: Any) -> None:
    sent = copy.deepcopy(document)

    assert json.dumps(exposure_criteria.parse(sent, creating=False)) == json.dumps(document)
    assert sent == document


def test_parse__update_to_null__is_null() -> None:
    assert exposure_criteria.parse(None, creating=False) is None


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, {"filterTestAccounts": True}),
        ({}, {"filterTestAccounts": True}),
        ({"filterTestAccounts": None}, {"filterTestAccounts": True}),
        ({"filterTestAccounts": False}, {"filterTestAccounts": False}),
        (
            {"exposure_config": exposure()},
            {"exposure_config": exposure(), "filterTestAccounts": True},
        ),
    ],
    ids=str,
)
def test_parse__create__leaves_test_accounts_out_unless_told_otherwise(sent: Any, stored: Any) -> None:
    assert exposure_criteria.parse(sent, creating=True) == stored


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"event": "opened", "properties": []}, exposure()),
        ({"event": "opened", "properties": {}}, exposure()),
        (exposure(properties={}), exposure()),
        ({"id": 5}, action(5)),
        (action(5, properties={}, fixedProperties={}), action(5, properties=[], fixedProperties=[])),
    ],
    ids=str,
)
def test_parse__config__is_stored_with_its_kind_and_listed_properties(name: str, sent: Any, stored: Any) -> None:
    assert exposure_criteria.parse({name: sent}, creating=False) == {name: stored}


@pytest.mark.parametrize(
    ("sent", "type_name"),
    [([], "list"), ("", "str"), (0, "int"), (1.5, "float"), (False, "bool"), ([{}], "list")],
    ids=str,
)
@pytest.mark.parametrize("creating", [True, False])
def test_parse__no_object__is_refused(sent: Any, type_name: str, creating: bool) -> None:
    assert refusal_of(sent, creating=creating) == (
        f"exposure_criteria must be an object, got {type_name}. "
        "Expected shape: {'filterTestAccounts': <bool>, 'exposure_config': <object>}."
    )


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("true", "str: 'true'"),
        (1, "int: 1"),
        (1.0, "float: 1.0"),
        ({"a": None}, "dict: {'a': None}"),
        (None, "NoneType: None"),
        ([], "list: []"),
        ("x" * 200, f"str: '{'x' * 79}...(truncated)"),
        ("x" * 78, f"str: '{'x' * 78}'"),
    ],
)
def test_parse__test_account_filter_no_boolean__is_refused_showing_it(sent: Any, shown: str) -> None:
    assert refusal_of({"filterTestAccounts": sent}) == (
        f"exposure_criteria.filterTestAccounts must be a boolean, got {shown}."
    )


@pytest.mark.parametrize("sent", [False, 0, "first", None, ["exclude"], "EXCLUDE"])
def test_parse__unknown_variant_handling__is_refused_showing_it(sent: Any) -> None:
    assert refusal_of({"multiple_variant_handling": sent}) == (
        f"exposure_criteria.multiple_variant_handling must be one of ['exclude', 'first_seen'], got {sent!r}."
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("sent", "type_name"), [("ActionsNode", "str"), (None, "NoneType"), ([], "list"), (5, "int")])
def test_parse__config_no_object__is_refused(name: str, sent: Any, type_name: str) -> None:
    assert refusal_of({name: sent}) == f"exposure_criteria.{name} must be an object, got {type_name}.{HINT}"


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", ["EventsNode", None, 5, ["ActionsNode"], {}, "k" * 100])
def test_parse__config_of_another_kind__is_refused_showing_it(name: str, kind: Any) -> None:
    shown = repr(kind) if kind != "k" * 100 else f"'{'k' * 79}...(truncated)"

    assert refusal_of({name: {"kind": kind, "event": "opened", "properties": []}}) == (
        f"exposure_criteria.{name}.kind must be one of ['ExperimentEventExposureConfig', 'ActionsNode'], "
        f"got {shown}.{HINT}"
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("sent", "kind", "field"),
    [
        ({}, "ExperimentEventExposureConfig", "event"),
        ({"event": "opened"}, "ExperimentEventExposureConfig", "properties"),
        ({"properties": []}, "ExperimentEventExposureConfig", "event"),
        (exposure(event=None), "ExperimentEventExposureConfig", "event"),
        (exposure(event=5), "ExperimentEventExposureConfig", "event"),
        (exposure(properties=None), "ExperimentEventExposureConfig", "properties"),
        (exposure(properties={"key": "a"}), "ExperimentEventExposureConfig", "properties"),
        (exposure(properties=[{"type": "person"}]), "ExperimentEventExposureConfig", "key"),
        (exposure(colour="red"), "ExperimentEventExposureConfig", "colour"),
        (exposure(id=5), "ExperimentEventExposureConfig", "id"),
        ({"kind": "ActionsNode"}, "ActionsNode", "id"),
        ({"id": "5"}, "ActionsNode", "id"),
        ({"id": 5, "event": "opened"}, "ActionsNode", "event"),
    ],
    ids=str,
)
def test_parse__malformed_config__is_refused_naming_kind_and_field(name: str, sent: Any, kind: str, field: str) -> None:
    text = refusal_of({name: sent})

    assert text.startswith(f"Invalid exposure_criteria.{name} (kind='{kind}'): [{{'loc': (")
    assert f"'{field}'" in text
    assert text.endswith(f"}}].{HINT}")


def test_parse__malformed_config__does_not_repeat_the_sent_value() -> None:
    assert "secret" not in refusal_of({"exposure_config": exposure(event={"secret": "secret"})})


@pytest.mark.parametrize(
    ("criteria", "ids"),
    [
        (None, set()),
        ({}, set()),
        ({"exposure_config": exposure()}, set()),
        ({"exposure_config": action(3), "activation_config": action(4)}, {3, 4}),
        ({"of_my_own": action(5), "activation_config": exposure()}, set()),
    ],
    ids=str,
)
def test_action_ids__criteria__are_those_of_both_configs(criteria: Any, ids: set[int]) -> None:
    assert exposure_criteria.action_ids(criteria) == ids


@settings(deadline=None)
@given(sent=any_json | st.sampled_from(VALID).flatmap(nearly), creating=st.booleans())
def test_parse__any_json__is_stored_or_refused_by_name(sent: Any, creating: bool) -> None:
    stored = outcome(lambda: exposure_criteria.parse(sent, creating=creating))
    if isinstance(stored, Invalid):
        assert stored.attr == "exposure_criteria"
        return
    assert exposure_criteria.parse(stored, creating=creating) == stored
    assert all(isinstance(action_id, int) for action_id in exposure_criteria.action_ids(stored))
