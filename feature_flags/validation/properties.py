"""Property conditions: which kinds a group may hold, with which operators and values."""

from collections.abc import Mapping
from typing import Any

from common.errors import Invalid
from feature_flags.validation.aggregation import aggregation_of
from feature_flags.validation.values import VALUE_RULES

PERSON_TYPES = frozenset({"person", "cohort", "flag", "person_metadata"})
FLAG_OPERATOR = "flag_evaluates_to"
MEMBERSHIP_OPERATORS = frozenset({"in", "not_in"})
WITHOUT_VALUE = frozenset({"is_set", "is_not_set"})
OPERATORS = frozenset(VALUE_RULES) | {"exact", "is_not"} | WITHOUT_VALUE


def check_properties(filters: Mapping[str, Any]) -> None:
    """Raise Invalid for the first property that its group cannot hold or that cannot be evaluated."""
    for group_position, group in enumerate(filters.get("groups", [])):
        aggregation = aggregation_of(group, filters)
        for position, condition in enumerate(group.get("properties", [])):
            path = f"groups[{group_position}].properties[{position}]"
            _check_type(condition, aggregation)
            _check_operator(condition, path)
            _check_value(condition, path)


def _check_type(condition: Mapping[str, Any], aggregation: int | None) -> None:
    kind = condition["type"]
    if aggregation is None:
        if kind not in PERSON_TYPES:
            raise Invalid(
                "Person-aggregated conditions can only use person, cohort, and flag properties.", attr="filters"
            )
    elif kind != "group":
        raise Invalid("Group-aggregated conditions can only use group properties.", attr="filters")
    elif condition.get("group_type_index") != aggregation:
        raise Invalid("Group properties must match the condition set's group type.", attr="filters")


def _check_operator(condition: Mapping[str, Any], path: str) -> None:
    kind, operator = condition["type"], condition.get("operator", "exact")
    if kind == "flag":
        if operator != FLAG_OPERATOR:
            raise Invalid("Flag properties must use the 'flag_evaluates_to' operator.", attr="filters")
        return
    if kind == "cohort":
        if operator in MEMBERSHIP_OPERATORS or operator == "exact":
            return
    elif operator in MEMBERSHIP_OPERATORS:
        raise Invalid(f"Operator {operator} is only supported on cohort properties.", attr="filters")
    elif operator in OPERATORS:
        return
    raise Invalid(f"{path}.operator: unsupported operator for feature flags", attr="filters")


def _check_value(condition: Mapping[str, Any], path: str) -> None:
    operator = condition.get("operator", "exact")
    if "value" not in condition:
        if operator in WITHOUT_VALUE:
            return
        raise Invalid(
            f"{path}.value: This field is required.", code="structural.groups.properties.value.required", attr="filters"
        )
    kind, value = condition["type"], condition["value"]
    if kind == "flag":
        # Which flag is meant is a matter of `dependencies`, which knows the others.
        if not isinstance(value, bool | str):
            raise Invalid(
                f"{path}.value: Expected true, false or a variant key.",
                code="structural.groups.properties.value.invalid_input",
                attr="filters",
            )
        return
    if kind == "cohort":
        if cohort_id(value) is None:
            raise Invalid(
                f"{path}.value: A valid integer is required.",
                code="structural.groups.properties.value.invalid_input",
                attr="filters",
            )
        return
    rule = VALUE_RULES.get(operator)
    if rule is not None:
        rule(value, operator, f"{path}.value")


def cohort_id(value: Any) -> int | None:
    """The cohort a property's value names, as a number or its decimal text; None when it names none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else None
