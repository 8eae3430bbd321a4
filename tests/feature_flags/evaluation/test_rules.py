"""What the documented cases leave open: failures, dependencies, cohorts, and who is asked for what."""

from typing import Any

import pytest

from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Needs
from tests.feature_flags.evaluation.cases import (
    EVERYBODY,
    Told,
    answer,
    answers,
    asks,
    condition,
    flag,
    project,
    stored,
    subject,
)

PRO = {"type": "AND", "values": [condition("plan", "pro")]}


def in_cohort(number: int, **more: Any) -> dict[str, Any]:
    return {"properties": [condition("id", number, "in", type="cohort", **more)]}


def cohort(*values: dict[str, Any], kind: str = "AND") -> tuple[bool, dict[str, Any]]:
    return False, {"properties": {"type": kind, "values": list(values)}}


@pytest.mark.parametrize(
    "filters",
    [
        None,
        [],
        "x",
        {"groups": {}},
        {"groups": [None]},
        {"groups": [{"properties": "x"}]},
        {"groups": [{"properties": [5]}]},
        {"groups": [{"properties": [{"key": "a", "type": "moon"}]}]},
        {"groups": [{"properties": [{"key": "id", "type": "cohort", "value": "x"}]}]},
        {"groups": [{"rollout_percentage": "50"}]},
        {"groups": [{"rollout_percentage": True}]},
        {"groups": [], "multivariate": {"variants": [{"key": "a"}]}},
        {"groups": [], "multivariate": []},
        {"groups": [], "holdout": {"id": "9", "exclusion_percentage": 10}},
        {"groups": [], "payloads": []},
        {"groups": [], "aggregation_group_type_index": "0"},
    ],
)
def test_malformed_filters__fail_their_flag_and_no_other(filters: Any) -> None:
    definitions = project([flag("fine"), stored({"id": 2, "key": "broken", "filters": filters})])
    assert answers(definitions, subject()) == {
        "broken": Told(False, "database_error", failed=True),
        "fine": Told(True, "condition_match", None, 0),
    }
    assert answers(definitions, subject())["broken"].description is None


def test_cycle__fails_its_members_and_not_who_asks_them() -> None:
    definitions = project(
        [
            flag("a", 1, groups=[asks(2)]),
            flag("b", 2, groups=[asks(1)]),
            flag("itself", 3, groups=[asks(3)]),
            flag("asks-a", 4, groups=[asks(1)]),
            flag("not-a", 5, groups=[asks(1, False)]),
        ]
    )
    found = answers(definitions, subject())
    assert {key: (found[key].reason, found[key].failed) for key in ("a", "b", "itself")} == dict.fromkeys(
        ("a", "b", "itself"), ("dependency_cycle_flag", True)
    )
    assert (found["asks-a"].enabled, found["asks-a"].failed) == (False, False)
    assert found["not-a"].enabled


def test_cycle__through_an_inactive_flag__is_none() -> None:
    definitions = project([flag("a", 1, groups=[asks(2, False)]), flag("b", 2, active=False, groups=[asks(1)])])
    assert answers(definitions, subject()) == {"a": Told(True, "condition_match", None, 0)}


@pytest.mark.parametrize("wanted", ["77", "no-number", ""])
def test_dependency__on_no_flag__is_missing_also_where_another_group_would_match(wanted: str) -> None:
    groups = [EVERYBODY, {"properties": [condition(wanted, True, "flag_evaluates_to", type="flag")]}]
    definitions = project([flag("needs", groups=groups)])
    assert answer(definitions, "needs", subject()) == Told(False, "missing_dependency")


def test_dependencies__of_one_chosen_flag__are_evaluated_through_all_levels() -> None:
    definitions = project(
        [flag("z", 1), flag("y", 2, groups=[asks(1)]), flag("a", 3, groups=[asks(2)]), flag("other", 4)]
    )
    assert [one.key for one in definitions.select([definitions.by_key["a"]]).order] == ["z", "y", "a"]
    found = answer(definitions, "a", subject())
    assert found is not None
    assert found.enabled


def test_dependency__on_a_holdout_member__sees_an_enabled_flag() -> None:
    held = flag("held", 1, holdout={"id": 9, "exclusion_percentage": 100})
    definitions = project([held, flag("any", 2, groups=[asks(1)]), flag("out", 3, groups=[asks(1, "holdout-9")])])
    assert all(evaluation.enabled for evaluation in answers(definitions, subject()).values())


def test_chain_of_a_thousand_flags__is_evaluated() -> None:
    flags = [
        flag("flag-0", 1),
        *(flag(f"flag-{number}", number + 1, groups=[asks(number)]) for number in range(1, 1000)),
    ]
    found = answer(project(flags), "flag-999", subject())
    assert found is not None
    assert found.enabled


@pytest.mark.parametrize(
    ("cohorts", "reason"),
    [
        ({}, "dependency_not_found_cohort"),
        ({7: cohort(in_cohort(8)["properties"][0])}, "dependency_not_found_cohort"),
        ({7: cohort(condition("id", 7, type="cohort"))}, "dependency_cycle_cohort"),
        (
            {7: cohort(condition("id", 8, type="cohort")), 8: cohort(condition("id", 7, type="cohort"))},
            "dependency_cycle_cohort",
        ),
        ({7: (False, {})}, "database_error"),
        (
            {7: (False, {"properties": {"type": "AND", "values": [{"type": "behavioral", "key": "x"}]}})},
            "database_error",
        ),
    ],
)
def test_cohort_that_cannot_be_computed__fails_the_flag(cohorts: dict[int, Any], reason: str) -> None:
    definitions = project([flag("beta", groups=[EVERYBODY, in_cohort(7)])], cohorts)
    assert answer(definitions, "beta", subject()) == Told(False, reason, failed=True)


@pytest.mark.parametrize(
    ("value", "plan", "expected"),
    [
        (cohort(), "free", True),
        (cohort({"type": "OR", "values": []}, kind="OR"), "free", True),
        (cohort(condition("plan", "pro", negation=True)), None, True),
        (cohort(condition("plan", "pro", negation=True)), "pro", False),
        (cohort(PRO, {"type": "OR", "values": [condition("seats", 5, "gt")]}, kind="OR"), "pro", True),
        (cohort(PRO, {"type": "OR", "values": [condition("seats", 5, "gt")]}), "pro", False),
    ],
)
def test_cohort__of_nested_criteria__has_its_members(value: Any, plan: str | None, expected: bool) -> None:
    definitions = project([flag("beta", groups=[in_cohort(7)])], {7: value})
    person = {} if plan is None else {"plan": plan}
    found = answer(definitions, "beta", subject(person=person))
    assert found is not None
    assert found.enabled is expected


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"$initial_utm": "a"}, True),
        ({"$utm": "a"}, True),
        ({"utm": "a"}, True),
        ({"$initial_utm": "b", "utm": "a"}, False),
        ({"$utm": None, "utm": "a"}, False),
        ({}, False),
    ],
)
def test_initial_property__that_is_missing__is_read_from_the_present_one(person: Any, expected: bool) -> None:
    definitions = project([flag("beta", groups=[{"properties": [condition("$initial_utm", "a")]}])])
    found = answer(definitions, "beta", subject(person=person))
    assert found is not None
    assert found.enabled is expected


def test_person_metadata__reads_the_record_and_not_the_properties() -> None:
    since = condition("created_at", "2026-01-01", "is_date_after", type="person_metadata")
    definitions = project([flag("beta", groups=[{"properties": [since]}])])
    known = subject(person_metadata={"created_at": "2026-01-02T00:00:00Z"})
    stranger = subject(person={"created_at": "2026-01-02T00:00:00Z"})
    assert [answer(definitions, "beta", who).enabled for who in (known, stranger)] == [True, False]  # type: ignore[union-attr]  # an active flag answers


def test_negation__of_a_person_property__is_ignored_in_flags() -> None:
    definitions = project([flag("beta", groups=[{"properties": [condition("plan", "pro", negation=True)]}])])
    assert answer(definitions, "beta", subject(person={"plan": "pro"})) == Told(True, "condition_match", None, 0)


@pytest.mark.parametrize(
    ("evaluation", "description"),
    [
        (Evaluation(True, "condition_match", None, 2), "Matched condition set 3"),
        (Evaluation(False, "no_condition_match", None, 0), "No matching condition set"),
        (
            Evaluation(False, "no_condition_match", None, 0, lacked_group=True),
            "No matching condition set (group conditions were not evaluated because no group type was provided)",
        ),
        (Evaluation(False, "out_of_rollout_bound"), "Out of rollout bound"),
        (Evaluation(False, "no_group_type"), "No group type"),
        (Evaluation(True, "super_condition_value"), "Super condition value"),
        (Evaluation(True, "holdout_condition_value"), "Holdout condition value"),
        (Evaluation(False, "missing_dependency"), "Flag cannot be evaluated due to missing dependency"),
        (Evaluation(False, "disabled"), "Feature flag is disabled"),
        (Evaluation(False, "timeout:person", failed=True), None),
    ],
)
def test_reason__is_described_as_documented(evaluation: Evaluation, description: str | None) -> None:
    assert evaluation.description == description


def test_group_set_without_a_group__is_told_beside_a_property_miss() -> None:
    groups = [
        {"properties": [condition("plan", "pro")], "aggregation_group_type_index": None},
        {"properties": [], "aggregation_group_type_index": 0},
    ]
    definitions = project([flag("beta", groups=groups)], group_types={0: "company"})
    assert answer(definitions, "beta", subject()) == Told(False, "no_condition_match", None, 0, lacked_group=True)


def test_needs__name_what_conditions_look_at_and_nothing_else() -> None:
    definitions = project(
        [
            flag("everybody", 1),
            flag("plan", 2, groups=[{"properties": [condition("plan", "pro"), condition("distinct_id", "x")]}]),
            flag("enroll", 3, feature_enrollment=True),
            flag("members", 4, groups=[in_cohort(7), in_cohort(8)]),
            flag("company", 5, groups=[{"properties": [condition("tier", "gold", type="group", group_type_index=0)]}]),
            flag("off", 6, active=False, groups=[{"properties": [condition("secret", 1)]}]),
        ],
        {7: cohort(condition("$initial_utm", "a"), condition("id", 8, type="cohort")), 8: (True, {})},
    )
    assert definitions.select(definitions.flags).needs == Needs(
        person_keys=frozenset({"plan", "$feature_enrollment/enroll", "$initial_utm", "$utm", "utm"}),
        group_keys={0: frozenset({"tier"})},
        static_cohorts=frozenset({8}),
    )
    assert definitions.select([definitions.by_key["everybody"]]).needs == Needs()
