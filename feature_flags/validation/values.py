"""Which filter values an operator can work with. One that can never match anything is refused when it is sent."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import re2

from common import documents
from common.errors import Invalid

# Takes value, operator and the path of the value.
ValueRule = Callable[[Any, str, str], None]

_RELATIVE_DATE = re.compile(r"-?(\d+)[hdwmy]", re.ASCII)
_RELATIVE_LIMIT = 10000
_ABSOLUTE_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
_SEMVER = re.compile(r"v?\d+(\.\d+)*(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII)
_SEMVER_WILDCARD = re.compile(r"v?\d+(\.\d+)?\.\*", re.ASCII)

# Patterns come from people and run on every request: nothing is logged about bad ones, memory is bounded.
_REGEX_OPTIONS = re2.Options()
_REGEX_OPTIONS.log_errors = False


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else documents.dumps(value)


def _date(value: Any, operator: str, path: str) -> None:
    if not is_date(value):
        raise Invalid(f"Invalid date value: {_shown(value)}.", attr="filters")


def is_date(value: Any) -> bool:
    """Whether `value` names an instant: a distance back from now, a date, or a date with a time."""
    if not isinstance(value, str):
        return False
    relative = _RELATIVE_DATE.fullmatch(value)
    if relative is not None:
        # By length first: the digits of an enormous number are not worth reading.
        digits = relative.group(1).lstrip("0")
        return len(digits) < len(str(_RELATIVE_LIMIT))
    if not _ABSOLUTE_DATE.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


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
    form = _SEMVER_WILDCARD if operator == "semver_wildcard" else _SEMVER
    if not isinstance(value, str) or not form.fullmatch(value.strip()):
        raise Invalid(f"Invalid semver value for operator {operator}", attr="filters")


def _regex(value: Any, operator: str, path: str) -> None:
    _string(value, operator, path)
    try:
        re2.compile(value, _REGEX_OPTIONS)
    except re2.error:
        raise Invalid(f"{path}: invalid regex pattern", attr="filters") from None


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
