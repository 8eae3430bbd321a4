"""The operators of property filters, against the documented cases and at their edges."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.matching import _EXACT, _OPERATORS, MISSING, SPELLINGS, Moment, compile_filter, text_of

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases" / "evaluation.json").read_text())[
    "operators"
]
NOW = Moment(datetime(2026, 1, 15, 12, tzinfo=UTC))
OPERATORS = sorted({*_OPERATORS, *_EXACT[True], *SPELLINGS})


def matches(operator: str, filter_value: Any, present: Any, moment: Moment = NOW, **of: bool) -> bool:
    return compile_filter(operator=operator, value=filter_value, **of).matches(present, moment)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['operator']} {case.get('filter')}"[:60])
def test_operator__matches_as_documented(case: dict[str, Any]) -> None:
    moment = Moment(NOW.now, ZoneInfo(case.get("timezone", "UTC")))
    present = case.get("person", MISSING)
    assert matches(case["operator"], case.get("filter", MISSING), present, moment) is case["match"]


def test_cases__cover_every_operator() -> None:
    assert {case["operator"] for case in CASES} >= {*_OPERATORS, *_EXACT[True]}


@pytest.mark.parametrize(
    ("filter_value", "present", "expected"),
    [
        (False, False, True),
        (False, "FALSE", True),
        (False, "no", False),
        (False, None, False),
        (False, 0, False),
        (True, "true", True),
        (["true", "false"], "no", False),
        ([], "true", True),
    ],
)
def test_exact__property_of_an_event__knows_no_truthiness(filter_value: Any, present: Any, expected: bool) -> None:
    assert matches("exact", filter_value, present, of_event=True) is expected
    assert matches("is_not", filter_value, present, of_event=True) is not expected


@pytest.mark.parametrize(
    ("operator", "filter_value"),
    [
        ("not_between", [1]),
        ("not_between", "1"),
        ("not_icontains_multi", "gmail"),
        ("not_regex", "("),
        ("semver_neq", "abc"),
        ("is_date_after", "10000d"),
        ("sounds_like", "x"),
        ("exact", MISSING),
    ],
)
@pytest.mark.parametrize("present", [MISSING, "x", "1.0.0", 5, None])
def test_unusable_filter__matches_nothing(operator: str, filter_value: Any, present: Any) -> None:
    assert not matches(operator, filter_value, present)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("A b", "A b"),
        (True, "true"),
        (None, "null"),
        (5, "5"),
        (5.0, "5.0"),
        ([1, "é"], '[1,"é"]'),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_text__of_what_is_no_string__is_compact_json(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("present", ["İ", "ẞ"])
def test_icontains__letters_beyond_ascii__keep_their_case(present: str) -> None:
    assert matches("icontains", present, present)
    assert not matches("icontains", present.lower(), present)


@pytest.mark.parametrize("number", ["1e999", " 5", "5 ", "0x5", "1_000", "٥", "", "nan", "inf", "5.", ".5"])
def test_number__other_spellings__are_none(number: str) -> None:
    assert not matches("gte", 0, number)
    assert not matches("lt", 0, number)
    assert not matches("gte", number, 5)


def test_number__beyond_a_double__is_none() -> None:
    assert not matches("gt", 0, 10**400)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|aa)+$", "(.*.*.*)*x", "a{1,900}b", "(x+x+)+y"])
def test_regex__of_exponential_shape__answers_at_once(pattern: str) -> None:
    started = datetime.now(tz=UTC)
    matches("regex", pattern, "a" * 100_000)
    assert datetime.now(tz=UTC) - started < timedelta(seconds=2)


@pytest.mark.parametrize("operator", ["regex", "not_regex"])
def test_regex__text_beyond_the_bound__does_not_match(operator: str) -> None:
    assert not matches(operator, "a{900}b", "a" * 100_000)


@pytest.mark.parametrize(
    ("now", "back", "earlier", "later"),
    [
        ("2024-03-31T10:00:00+00:00", "-1m", "2024-02-29T09:59:59Z", "2024-02-29T10:00:01Z"),
        ("2024-02-29T00:00:00+00:00", "1y", "2023-02-27T23:59:59Z", "2023-02-28T00:00:01Z"),
        ("2024-01-31T00:00:00+00:00", "13m", "2022-12-30T23:59:59Z", "2022-12-31T00:00:01Z"),
    ],
)
def test_date__months_back__keep_the_day_or_take_the_last(now: str, back: str, earlier: str, later: str) -> None:
    moment = Moment(datetime.fromisoformat(now))
    assert matches("is_date_before", back, earlier, moment)
    assert matches("is_date_after", back, later, moment)


def test_date__farther_back_than_the_calendar__is_before_everything() -> None:
    assert matches("is_date_after", "9999y", "0001-01-02")
    assert not matches("is_date_before", "9999y", "0001-01-01")


def test_date__in_the_hour_that_comes_twice__equals_itself() -> None:
    moment = Moment(NOW.now, ZoneInfo("Europe/Berlin"))
    assert matches("is_date_exact", "2025-10-26T02:30:00", "2025-10-26T02:30:00", moment)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("1.0.0-1", "1.0.0-a"), ("1.0.0-a", "1.0.0-a.1"), ("1.0.0-9", "1.0.0-10"), ("1.0.0-rc.1", "1.0.0")],
)
def test_semver__pre_releases__are_ordered(lower: str, higher: str) -> None:
    assert matches("semver_lt", higher, lower)
    assert not matches("semver_lt", lower, higher)


@pytest.mark.parametrize("version", ["1.2.3.4", "1.2.3+build.5", " v01.2.3 ", "1.2.3.4.5+x"])
def test_semver__further_parts_and_build__are_ignored(version: str) -> None:
    assert matches("semver_eq", "1.2.3", version)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["-7d", "1.*", "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.sampled_from(OPERATORS), JSON | st.just(MISSING), JSON | st.just(MISSING), st.booleans())
def test_any_filter__on_any_value__answers(operator: str, filter_value: Any, present: Any, of_event: bool) -> None:
    moment = Moment(NOW.now, ZoneInfo("America/New_York"))
    assert matches(operator, filter_value, present, moment, of_event=of_event) in (True, False)


@settings(deadline=None)
@given(JSON)
def test_exact_and_is_not__of_any_value__are_opposites(value: Any) -> None:
    assert matches("exact", value, value) or isinstance(value, list)
    for present in (value, "other", None, MISSING):
        assert matches("exact", value, present) is not matches("is_not", value, present)
