"""Which changes a policy is about: its conditions, judged on what a change does. Pure.

A state is described by the values that users feel, by field and by path:

    {"active": {"active": True}, "rollout_percentage": {"groups[0].rollout_percentage": 50}}
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

ACTIVE = "active"
ROLLOUT = "rollout_percentage"
EXCLUSION = "exclusion_percentage"
FIELDS = (ROLLOUT, EXCLUSION, ACTIVE)

Observed = Mapping[str, Mapping[str, Any]]

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
OPERATORS = tuple(_OPERATORS)
KINDS = ("before_after", "change_amount", "any_change")
_NOTHING = object()


def differing_paths(before: Observed, after: Observed, field: str) -> list[str]:
    """The paths of a field whose values differ, or that are there on one side only; those of `after` first."""
    old, new = before.get(field, {}), after.get(field, {})
    return [path for path in (*new, *(path for path in old if path not in new)) if _differ(old, new, path)]


def _differ(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> bool:
    one, other = old.get(path, _NOTHING), new.get(path, _NOTHING)
    return one is _NOTHING or other is _NOTHING or not _equal(one, other)


def met(conditions: Mapping[str, Any], before: Observed, after: Observed) -> bool:
    """Whether a change meets the conditions. Without any, and when they cannot be understood, every change does."""
    kind, field = conditions.get("type"), conditions.get("field")
    if kind not in KINDS or field not in FIELDS:
        return True
    if kind == "any_change":
        return bool(differing_paths(before, after, field))
    compare = _OPERATORS.get(str(conditions.get("operator")))
    wanted = conditions.get("value")
    if compare is None or not isinstance(wanted, bool | int | float):
        return True
    values = after.get(field, {}).values() if kind == "before_after" else _amounts(before, after, field)
    return any(_compares(compare, value, wanted) for value in values)


def _amounts(before: Observed, after: Observed, field: str) -> list[Any]:
    """How much each changed path of a field changed; what was not there, or is no more, counts as nothing."""
    old, new = before.get(field, {}), after.get(field, {})
    return [new.get(path, 0) - old.get(path, 0) for path in differing_paths(before, after, field)]


def _equal(one: Any, other: Any) -> bool:
    # True and 1 are equal in Python; here one is a switch and the other a percentage.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _compares(compare: Callable[[Any, Any], bool], value: Any, wanted: Any) -> bool:
    if compare is operator.eq:
        return _equal(value, wanted)
    if compare is operator.ne:
        return not _equal(value, wanted)
    return compare(value, wanted)
