"""Property filters in memory: one meaning for flags, cohorts, actions, metrics and searches. Pure.

A filter's operator and value are compiled once into a `Matcher`; matching then neither parses nor raises. Filters on
the properties of events differ from all others in one point: `exact` knows no truthiness there, `false` matches only
`false`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import ge, gt, le, lt
from typing import Any, Final

import re2

from common.instants import Moment, parse_absolute, parse_instant
from common.semantic_versions import (
    Version,
    VersionRange,
    caret_range,
    parse_version,
    tilde_range,
    wildcard_range,
)

__all__ = ["MISSING", "Matcher", "Missing", "Moment", "compile_filter", "compile_pattern", "keys_to_read", "text_of"]


class Missing(Enum):
    """The property is not there. Null is a value."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

Test = Callable[[Any, Moment], bool]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A compiled filter. `test` judges a property that is there; `usable` says whether the filter can match at all."""

    test: Test
    when_missing: bool
    usable: bool = True

    def matches(self, value: Any, moment: Moment) -> bool:
        """Whether a property with this value, or one that is MISSING, satisfies the filter. Never raises."""
        if value is MISSING:
            return self.when_missing
        return self.test(value, moment)


def _never(value: Any, moment: Moment) -> bool:
    return False


def _always(value: Any, moment: Moment) -> bool:
    return True


# A filter whose value its operator cannot work with.
UNUSABLE: Final = Matcher(test=_never, when_missing=False, usable=False)

# Takes the value of the filter; None says that it is unusable.
Compiler = Callable[[Any], Test | None]


def text_of(value: Any) -> str:
    """A string as it is, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return ""  # nested deeper than any filter's value can be


_INITIAL = "$initial_"


def keys_to_read(key: str) -> tuple[str, ...]:
    """Where a property of a person is looked for, in that order: what was there first, else what is there now."""
    rest = key.removeprefix(_INITIAL)
    return (key,) if rest == key else (key, f"${rest}", rest)


# --- equality ------------------------------------------------------------------------------------------------------


def _is_truthy(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif item is not True and not (isinstance(item, str) and item.lower() == "true"):
            return False
    return True


def _is_truth_value(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _exact(value: Any, *, truthiness: bool) -> Test:
    if value == [] and isinstance(value, list):
        return lambda present, moment: _is_truthy(present)
    if truthiness and all(_is_truth_value(item) for item in (value if isinstance(value, list) else [value])):
        wanted = _is_truthy(value)
        return lambda present, moment: _is_truthy(present) == wanted
    if isinstance(value, list):
        texts = frozenset(text_of(item).lower() for item in value)
        return lambda present, moment: text_of(present).lower() in texts
    text = text_of(value).lower()
    return lambda present, moment: text_of(present).lower() == text


# --- parts of texts ------------------------------------------------------------------------------------------------

_ASCII_LOWER = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _folded(value: Any) -> str:
    text = text_of(value)
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def _contains(value: Any) -> Test:
    part = _folded(value)
    return lambda present, moment: part in _folded(present)


def _contains_any(value: Any) -> Test | None:
    if not isinstance(value, list):
        return None
    parts = tuple(_folded(item) for item in value)

    def test(present: Any, moment: Moment) -> bool:
        text = _folded(present)
        return any(part in text for part in parts)

    return test


def _starts(value: Any) -> Test:
    part = _folded(value)
    return lambda present, moment: _folded(present).startswith(part)


def _ends(value: Any) -> Test:
    part = _folded(value)
    return lambda present, moment: _folded(present).endswith(part)


# --- patterns ------------------------------------------------------------------------------------------------------

# RE2 works in time linear in pattern times text. This bounds the product, about a tenth of a second at worst.
_MAX_STEPS = 10_000_000
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True


def compile_pattern(value: Any) -> Any | None:
    """The regular expression of a filter, compiled by RE2; None when it is none."""
    try:
        return re2.compile(value, _OPTIONS) if isinstance(value, str) else None
    except (re2.error, UnicodeEncodeError):
        return None


def _pattern(value: Any, *, found: bool) -> Test | None:
    pattern = compile_pattern(text_of(value))
    if pattern is None:
        return None
    longest = _MAX_STEPS // max(1, pattern.programsize)

    def test(present: Any, moment: Moment) -> bool:
        text = text_of(present)
        if len(text) > longest:
            return False
        try:
            return (pattern.search(text) is not None) == found
        except UnicodeEncodeError:  # half of a character: no pattern can speak of it
            return False

    return test


# --- numbers -------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def number_of(value: Any) -> float | None:
    """A finite number, or the number a text spells without blanks; booleans are none."""
    if isinstance(value, str):
        if _NUMBER.fullmatch(value) is None:
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _ordered(compare: Callable[[float, float], bool]) -> Compiler:
    def compiler(value: Any) -> Test | None:
        limit = number_of(value)
        if limit is None:
            return None

        def test(present: Any, moment: Moment) -> bool:
            number = number_of(present)
            return number is not None and compare(number, limit)

        return test

    return compiler


def _between(value: Any, *, inside: bool) -> Test | None:
    limits = [number_of(item) for item in value] if isinstance(value, list) and len(value) == 2 else []
    if not limits or limits[0] is None or limits[1] is None:
        return None
    low, high = limits[0], limits[1]

    def test(present: Any, moment: Moment) -> bool:
        number = number_of(present)
        return number is not None and (low <= number <= high) == inside

    return test


# --- instants and versions -----------------------------------------------------------------------------------------


def _dated(compare: Callable[[Any, Any], bool]) -> Compiler:
    def compiler(value: Any) -> Test | None:
        reference = parse_instant(value)
        if reference is None:
            return None

        def test(present: Any, moment: Moment) -> bool:
            written = parse_absolute(present)
            if written is None:
                return False
            instant, limit = written.at(moment), reference.at(moment)
            return instant is not None and limit is not None and compare(instant, limit)

        return test

    return compiler


def _versioned(compare: Callable[[Version, Version], bool]) -> Compiler:
    def compiler(value: Any) -> Test | None:
        limit = parse_version(text_of(value))
        if limit is None:
            return None

        def test(present: Any, moment: Moment) -> bool:
            version = parse_version(text_of(present))
            return version is not None and compare(version, limit)

        return test

    return compiler


def _version_range(parse: Callable[[Any], VersionRange | None]) -> Compiler:
    def compiler(value: Any) -> Test | None:
        bounds = parse(text_of(value))
        if bounds is None:
            return None
        lower, upper = bounds

        def test(present: Any, moment: Moment) -> bool:
            version = parse_version(text_of(present))
            return version is not None and lower <= version < upper

        return test

    return compiler


# --- the table -----------------------------------------------------------------------------------------------------


def _not(compiler: Callable[[Any], Test | None]) -> Compiler:
    def opposite(value: Any) -> Test | None:
        test = compiler(value)
        return None if test is None else lambda present, moment: not test(present, moment)

    return opposite


@dataclass(frozen=True, slots=True)
class _Operator:
    compiler: Compiler
    when_missing: bool = False


_OPERATORS: Mapping[str, _Operator] = {
    "icontains": _Operator(_contains),
    "not_icontains": _Operator(_not(_contains), when_missing=True),
    "icontains_multi": _Operator(_contains_any),
    "not_icontains_multi": _Operator(_not(_contains_any), when_missing=True),
    "starts_with": _Operator(_starts),
    "not_starts_with": _Operator(_not(_starts), when_missing=True),
    "ends_with": _Operator(_ends),
    "not_ends_with": _Operator(_not(_ends), when_missing=True),
    "regex": _Operator(lambda value: _pattern(value, found=True)),
    "not_regex": _Operator(lambda value: _pattern(value, found=False), when_missing=True),
    "gt": _Operator(_ordered(gt)),
    "gte": _Operator(_ordered(ge)),
    "lt": _Operator(_ordered(lt)),
    "lte": _Operator(_ordered(le)),
    "between": _Operator(lambda value: _between(value, inside=True)),
    "not_between": _Operator(lambda value: _between(value, inside=False), when_missing=True),
    "is_set": _Operator(lambda value: _always),
    "is_not_set": _Operator(lambda value: _never, when_missing=True),
    "is_date_exact": _Operator(_dated(lambda instant, limit: instant == limit)),
    "is_date_before": _Operator(_dated(lambda instant, limit: instant < limit)),
    "is_date_after": _Operator(_dated(lambda instant, limit: instant > limit)),
    "semver_eq": _Operator(_versioned(lambda version, limit: version == limit)),
    "semver_neq": _Operator(_versioned(lambda version, limit: version != limit)),
    "semver_gt": _Operator(_versioned(lambda version, limit: version > limit)),
    "semver_gte": _Operator(_versioned(lambda version, limit: version >= limit)),
    "semver_lt": _Operator(_versioned(lambda version, limit: version < limit)),
    "semver_lte": _Operator(_versioned(lambda version, limit: version <= limit)),
    "semver_tilde": _Operator(_version_range(tilde_range)),
    "semver_caret": _Operator(_version_range(caret_range)),
    "semver_wildcard": _Operator(_version_range(wildcard_range)),
}
_EXACT: Mapping[bool, Mapping[str, _Operator]] = {
    truthiness: {
        "exact": _Operator(exact := lambda value, known=truthiness: _exact(value, truthiness=known)),
        "is_not": _Operator(_not(exact), when_missing=True),
    }
    for truthiness in (True, False)
}
# Other spellings, each of one operator.
SPELLINGS: Mapping[str, str] = {"min": "gte", "max": "lte", "in": "exact", "not_in": "is_not"}
_WITHOUT_VALUE = frozenset({"is_set", "is_not_set"})


def compile_filter(*, operator: str, value: Any = MISSING, of_event: bool = False) -> Matcher:
    """The matcher of a filter. An unknown operator, or a value it cannot work with, gives one that matches nothing.

    `of_event` says that the property is one of an event. Membership of cohorts and results of flags are no
    properties; `in` and `not_in` here mean `exact` and `is_not`.
    """
    name = SPELLINGS.get(operator, operator)
    known = _EXACT[not of_event].get(name) or _OPERATORS.get(name)
    if known is None or (value is MISSING and name not in _WITHOUT_VALUE):
        return UNUSABLE
    test = known.compiler(value)
    return UNUSABLE if test is None else Matcher(test=test, when_missing=known.when_missing)
