"""Which changes a policy is about."""

from typing import Any

import pytest

from approvals.conditions import differing_paths, met

G0, G1 = "groups[0].rollout_percentage", "groups[1].rollout_percentage"
HOLDOUT = "holdout.exclusion_percentage"


def state(active: bool = True, holdout: Any = None, **rollouts: Any) -> dict[str, dict[str, Any]]:
    paths = {"g0": G0, "g1": G1}
    return {
        "active": {"active": active},
        "rollout_percentage": {paths[name]: value for name, value in rollouts.items()},
        "exclusion_percentage": {} if holdout is None else {HOLDOUT: holdout},
    }


def condition(kind: str, field: str = "rollout_percentage", operator: str = ">", value: Any = 50) -> dict[str, Any]:
    return {"type": kind, "field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        (">", 50, True),
        (">", 60, False),
        (">=", 60, True),
        ("<", 60, False),
        ("<=", 60, True),
        ("==", 60, True),
        ("==", 60.0, True),
        ("==", 50, False),
        ("!=", 60, False),
        ("!=", 50, True),
    ],
)
def test_before_after__compares_the_values_after_the_change(operator: str, value: float, expected: bool) -> None:
    assert met(condition("before_after", operator=operator, value=value), state(g0=10), state(g0=60)) is expected


def test_before_after__one_value_of_several_suffices() -> None:
    assert met(condition("before_after"), state(g0=10, g1=10), state(g0=10, g1=60))


def test_before_after__value_that_did_not_change_counts() -> None:
    assert met(condition("before_after"), state(g0=80, g1=10), state(g0=80, g1=20))


def test_before_after__no_value_of_the_field__not_met() -> None:
    assert not met(condition("before_after", "exclusion_percentage", ">=", 0), state(g0=10), state(g0=60))


def test_before_after__switch_is_no_number() -> None:
    assert not met(condition("before_after", "active", "==", 1), state(active=False), state(active=True))
    assert met(condition("before_after", "active", "==", True), state(active=False), state(active=True))


@pytest.mark.parametrize(
    ("before", "after", "operator", "value", "expected"),
    [
        (10, 30, ">", 20, False),
        (10, 31, ">", 20, True),
        (10, 30, ">=", 20, True),
        (30, 10, "<", -10, True),
        (30, 10, ">", 10, False),
        (10, 30, "==", 20, True),
    ],
)
def test_change_amount__signed(before: int, after: int, operator: str, value: int, expected: bool) -> None:
    assert (
        met(condition("change_amount", operator=operator, value=value), state(g0=before), state(g0=after)) is expected
    )


def test_change_amount__paths_that_did_not_change_do_not_count() -> None:
    assert not met(condition("change_amount", operator="<", value=5), state(g0=10, g1=0), state(g0=10, g1=50))


def test_change_amount__what_was_not_there_counts_as_nothing() -> None:
    assert met(condition("change_amount", operator=">=", value=100), {}, state(g0=100))
    assert met(condition("change_amount", "exclusion_percentage", "<=", -10), state(holdout=10), state())


def test_any_change__only_of_its_field() -> None:
    only_exclusion = {"type": "any_change", "field": "exclusion_percentage"}

    assert met(only_exclusion, state(holdout=10), state(holdout=20))
    assert not met(only_exclusion, state(g0=10, holdout=10), state(g0=20, holdout=10))


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"type": "before_after"},
        {"type": "before_after", "field": "rollout_percentage"},
        {"type": "before_after", "field": "rollout_percentage", "operator": ">"},
        {"type": "before_after", "field": "rollout_percentage", "operator": ">", "value": None},
        {"type": "before_after", "field": "rollout_percentage", "operator": ">", "value": "99"},
        {"type": "before_after", "field": "rollout_percentage", "operator": "~", "value": 99},
        {"type": "before_after", "field": "rollout_percentage", "operator": [], "value": 99},
        {"type": "before_after", "field": "key", "operator": ">", "value": 99},
        {"type": "before_after", "field": {}, "operator": ">", "value": 99},
        {"type": "full_moon", "field": "rollout_percentage", "operator": ">", "value": 99},
        {"type": ["any_change"], "field": "rollout_percentage"},
        {"type": "any_change"},
        {"value": 99},
    ],
)
def test_empty_unknown_or_incomplete__gates_everything(conditions: dict[str, Any]) -> None:
    assert met(conditions, state(g0=10), state(g0=10, active=False))


def test_differing_paths__appearing_and_disappearing_ones_too() -> None:
    assert differing_paths(state(g0=10), state(g0=10, g1=0), "rollout_percentage") == [G1]
    assert differing_paths(state(g0=10, g1=0), state(g0=10), "rollout_percentage") == [G1]
    assert differing_paths(state(g0=50), state(g0=50.0), "rollout_percentage") == []
