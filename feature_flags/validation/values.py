"""Which filter values an operator can work with. One that can never match anything is refused when it is sent."""

from collections.abc import Callable, Mapping
from typing import Any

from common import documents
from common.errors import Invalid
from common.instants import parse_instant
from common.matching import compile_pattern
from common.semantic_versions import parse_version, wildcard_range

# Takes value, operator and the path of the value.
ValueRule = Callable[[Any, str, str], None]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else documents.dumps(value)


def _date(value: Any, operator: str, path: str) -> None:
    if parse_instant(value) is None:
        raise Invalid(f"Invalid date value: {_shown(value)}.", attr="filters")


def _string(value: Any, operator: str, path: str) -> None:
    if not isinstance(value, str):
        raise Invalid(f"Operator {operator} requires a string value.", attr="filters")


def _number_or_string(value: Any, operator: str, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid(f"Operator {operator} requires a string value.", attr="filters")


def _list(value: Any, operator: str, path: str) -> None:
    if not isinstance(value, list):
        raise Invalid(f"Operator {operator} requires a list of values.", attr="filters")


def _semver(value: Any, operator: str, path: str) -> None:
    parse = wildcard_range if operator == "semver_wildcard" else parse_version
    if parse(value) is None:
        raise Invalid(f"Invalid semver value for operator {operator}", attr="filters")


def _regex(value: Any, operator: str, path: str) -> None:
    _string(value, operator, path)
    if compile_pattern(value) is None:
        raise Invalid(f"{path}: invalid regex pattern", attr="filters")


# Every operator whose value is bound to a form; `exact` and `is_not` compare with anything.
VALUE_RULES: Mapping[str, ValueRule] = {
    **dict.fromkeys(
        (
            "icontains",
            "not_icontains",
            "starts_with",
            "not_starts_with",
            "ends_with",
            "not_ends_with",
        ),
        _string,
    ),
    **dict.fromkeys(("regex", "not_regex"), _regex),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), _number_or_string),
    **dict.fromkeys(("icontains_multi", "not_icontains_multi", "between", "not_between"), _list),
    **dict.fromkeys(("is_date_exact", "is_date_before", "is_date_after"), _date),
    **dict.fromkeys(
        (
            "semver_eq",
            "semver_neq",
            "semver_gt",
            "semver_gte",
            "semver_lt",
            "semver_lte",
            "semver_tilde",
            "semver_caret",
            "semver_wildcard",
        ),
        _semver,
    ),
}
