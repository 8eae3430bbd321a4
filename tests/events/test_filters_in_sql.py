"""Filters on stored events mean what they mean in memory."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.matching import MISSING, Moment, compile_filter
from events.store.conditions import Statement
from events.store.patterns import translated
from events.store.plans import PropertyCondition, Subject

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
MOMENT = Moment(now=NOW)
CASES = json.loads((Path(__file__).parent.parent / "cases" / "evaluation.json").read_text())


def frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def in_sql(checks: list[tuple[Subject, str, Any, Any]], moment: Moment = MOMENT) -> list[bool]:
    """The outcome of (subject, operator, filter value, property value) for each; all in one statement."""
    statement = Statement(moment=moment)
    columns = []
    for subject, operator, value, present in checks:
        properties = {} if present is MISSING else {"a": present}
        document = f"{statement.bind(json.dumps(properties))}::jsonb"
        condition = PropertyCondition(subject=subject, key="a", operator=operator, value=frozen(value))
        columns.append(statement.property(condition, document=document))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)}", statement.parameters)
        return list(cursor.fetchone())


def in_memory(checks: list[tuple[Subject, str, Any, Any]], moment: Moment = MOMENT) -> list[bool]:
    return [
        compile_filter(operator=operator, value=value, of_event=subject is Subject.EVENT).matches(present, moment)
        for subject, operator, value, present in checks
    ]


WORDS = [
    *["", "true", "TRUE", "false", "no", "Pro", "pro", "prö", "PRÖ", "a.b", "null", "[1,2]", "^p", "o$"],
    *["5", "05", "5.0", "1e3", "-3.2", "+7", " 5", "NaN", "inf"],
    *["1.2.3", "v1.2", "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3+x", "1.2.*"],
    *["2026-03-15", "2026-03-14T12:00:00Z", "2026-03-15T13:00:00+01:00", "2026-02-30", "2026-03-15 12:00", "-1d", "3m"],
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from([0.5, 5.0, -3.2, 1000.0]), st.sampled_from(WORDS)
)
PRESENT = st.one_of(
    st.just(MISSING), SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.just("k"), SCALARS, max_size=1)
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.lists(st.integers(-3, 12), min_size=2, max_size=2))
OPERATORS = st.sampled_from(
    ["exact", "is_not", "in", "not_in", "icontains", "not_icontains", "icontains_multi", "not_icontains_multi",
     "starts_with", "not_starts_with", "ends_with", "not_ends_with", "regex", "not_regex", "gt", "gte", "lt", "lte",
     "min", "max", "between", "not_between", "is_set", "is_not_set", "is_date_exact", "is_date_before",
     "is_date_after", "semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte", "semver_tilde",
     "semver_caret", "semver_wildcard", "unknown"]
)  # fmt: skip
CHECKS = st.lists(st.tuples(st.sampled_from(Subject), OPERATORS, VALUES, PRESENT), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(checks=CHECKS)
@example(checks=[(Subject.PERSON, "exact", [], []), (Subject.EVENT, "exact", False, None)])
def test_any_filter__in_sql__as_in_memory(checks: list[tuple[Subject, str, Any, Any]]):
    outcome = in_sql(checks)

    assert all(isinstance(each, bool) for each in outcome)
    assert dict(enumerate(zip(checks, outcome, strict=True))) == dict(
        enumerate(zip(checks, in_memory(checks), strict=True))
    )


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_documented_cases(zone: str):
    moment = Moment(now=datetime(2026, 1, 15, 12, tzinfo=UTC), zone=ZoneInfo(zone))
    cases = [case for case in CASES["operators"] if case.get("timezone", "UTC") == zone]
    checks = [(Subject.PERSON, case["operator"], case.get("filter"), case.get("person", MISSING)) for case in cases]

    outcome = zip(cases, in_sql(checks, moment), strict=True)
    assert [case for case, matches in outcome if matches != case["match"]] == []


PATTERNS = st.text(alphabet="ab.^$*+?()[]|\\d\\w\\b{1,2}-\n", max_size=8)
TEXTS = st.text(alphabet="ab1 \n.-_ö", max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=PATTERNS, texts=st.lists(TEXTS, min_size=1, max_size=10))
@example(pattern=r"\bö", texts=["ö", "a"])
@example(pattern="(?i)A[^b]", texts=["ac", "a\n"])
@example(pattern="(?s)a.b", texts=["a\nb"])
@example(pattern="a.b", texts=["a\nb"])
@example(pattern=r"[\d\-x]{2}$", texts=["1-\n", "1-"])
@example(pattern=r"\Qa.b\E+", texts=["a.bb", "axb"])
@example(pattern=r"(?P<name>a)|", texts=["b"])
@example(pattern="^*", texts=["a"])
@example(pattern="", texts=["a"])
@example(pattern="[[:alpha:]ö]", texts=["ö", "1"])
def test_any_pattern__in_sql__as_in_memory_or_not_found(pattern: str, texts: list[str]):
    checks: list[tuple[Subject, str, Any, Any]] = [(Subject.EVENT, "regex", pattern, text) for text in texts]
    outcome = in_sql(checks)

    if any(outcome):
        assert outcome == in_memory(checks)


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [
        ("a.c", True),
        (r"^\d+$", True),
        (r"\pL", False),
        ("(?i:a)", False),
        ("a{300}", False),
        ("(", False),
        ("(?=a)", False),
    ],
)
def test_translated__what_can_be_searched_for(pattern: str, accepted: bool):
    assert (translated(pattern) is not None) == accepted


@pytest.mark.parametrize("pattern", [r"^/products/\d+(\?.*)?$", r"(?i)CHECKOUT|cart", r"\.(com|org)\b", "[a-z]{2,5}@"])
def test_usual_patterns__are_searched_for_in_sql(pattern: str):
    texts = ["/products/17", "/products/17?a=b", "/checkout", "a.com", "a.comb", "abc@", "A@"]
    checks: list[tuple[Subject, str, Any, Any]] = [
        (Subject.EVENT, operator, pattern, text) for text in texts for operator in ("regex", "not_regex")
    ]

    assert in_sql(checks) == in_memory(checks)
    assert True in in_sql(checks)
