"""Claims that hold for all flags and persons: monotonous, independent of order, even, and never an exception."""

import random
from bisect import bisect_right
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from feature_flags.evaluation.bucketing import below, digest, encoded, ends, share, up_to
from feature_flags.evaluation.conditions import compile_condition
from feature_flags.evaluation.evaluate import Evaluator
from tests.feature_flags.evaluation.cases import EVERYBODY, answers, asks, condition, flag, project, stored, subject

PEOPLE = [f"person-{number}" for number in range(200)]
KEYS = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=20)
PERCENTAGES = st.floats(0, 100) | st.integers(0, 100)


def enabled(key: str, percentage: float) -> set[str]:
    definitions = project([flag(key, groups=[EVERYBODY | {"rollout_percentage": percentage}])])
    return {person for person in PEOPLE if answers(definitions, subject(person))[key].enabled}


@settings(deadline=None, max_examples=50)
@given(KEYS, PERCENTAGES, PERCENTAGES)
def test_rollout__that_grows__only_adds_people(key: str, one: float, other: float) -> None:
    assert enabled(key, min(one, other)) <= enabled(key, max(one, other))


@settings(deadline=None, max_examples=50)
@given(KEYS, st.integers(0, 100), st.integers(0, 100))
def test_holdout__that_grows__only_adds_people(key: str, one: int, other: int) -> None:
    def held(percentage: int) -> set[str]:
        definitions = project([flag(key, holdout={"id": 1, "exclusion_percentage": percentage})])
        return {person for person in PEOPLE if answers(definitions, subject(person))[key].variant == "holdout-1"}

    assert held(min(one, other)) <= held(max(one, other))


FRACTIONS = st.floats(-0.1, 1.1) | st.sampled_from([0.0, 0.255, 0.3333, 0.5, 1.0])


@settings(deadline=None)
@given(st.text(max_size=20), FRACTIONS)
def test_bounds__of_any_fraction__decide_as_shares_do(text: str, fraction: float) -> None:
    hashed = digest(encoded(text))
    assert (hashed < up_to(fraction)) is (share(text) <= fraction)
    assert (hashed < below(fraction)) is (share(text) < fraction)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_bounds__of_the_very_share_of_a_text__are_exact(text: str) -> None:
    hashed = digest(encoded(text))
    assert hashed < up_to(share(text))
    assert not hashed < below(share(text))


@settings(deadline=None)
@given(st.lists(st.floats(-10, 60), min_size=1, max_size=5), st.text(max_size=20))
def test_variant__is_the_first_whose_end_lies_behind_the_share(weights: list[float], text: str) -> None:
    total, index = 0.0, 0
    for weight in weights:
        total += weight / 100
        if share(text) < total:
            break
        index += 1
    assert bisect_right(ends(weights), digest(encoded(text))) == index


@settings(deadline=None)
@given(st.sampled_from([1, 1.0, True, "1", "true", None, [1], ["1"]]), st.sampled_from([1, 1.0, True, "1", "true"]))
def test_condition__of_the_same_filter__is_one_object(one: Any, other: Any) -> None:
    first, second = compile_condition(condition("a", one)), compile_condition(condition("a", other))
    is_same = type(one) is type(other) and one == other
    assert (first is second) is is_same
    assert compile_condition(condition("b", one)) is not first


GROUPS: list[dict[str, Any]] = [
    EVERYBODY,
    EVERYBODY | {"rollout_percentage": 37.5},
    {"properties": [condition("plan", "pro")], "rollout_percentage": 60},
    asks(1),
    asks(2, False),
    asks(3, "a"),
    {"properties": [condition("id", 7, "not_in", type="cohort")]},
]
VARIANTS = {"variants": [{"key": "a", "rollout_percentage": 40}, {"key": "b", "rollout_percentage": 60}]}
FLAGS = st.builds(
    lambda number, groups, multivariate, active: {
        "id": number,
        "key": f"flag-{number}",
        "active": active,
        "filters": {"groups": groups, "multivariate": multivariate},
    },
    st.integers(1, 9),
    st.lists(st.sampled_from(GROUPS), max_size=3),
    st.sampled_from([None, VARIANTS]),
    st.booleans(),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(FLAGS, max_size=8, unique_by=lambda document: document["id"]), st.randoms(use_true_random=False))
def test_flags__in_any_order__answer_the_same(documents: list[dict[str, Any]], shuffle: random.Random) -> None:
    cohorts: dict[int, tuple[bool, Any]] = {7: (False, {"properties": {"type": "AND", "values": []}})}
    shuffled = shuffle.sample(documents, len(documents))
    who = subject("user-1", person={"plan": "pro"})
    assert answers(project(map(stored, documents), cohorts), who) == answers(
        project(map(stored, shuffled), cohorts), who
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(FLAGS, max_size=8, unique_by=lambda document: document["id"]))
def test_answers__of_a_flag__are_the_same_objects_each_time_and_of_no_other_flag(
    documents: list[dict[str, Any]],
) -> None:
    definitions = project(map(stored, documents))
    selection = definitions.select(definitions.flags)
    first, second = (Evaluator(definitions, subject(person={"plan": "pro"})).all(selection) for _ in range(2))
    assert all(second[number] is evaluation for number, evaluation in first.items())
    assert len(set(first.values())) == len(first)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ODD_PROPERTY = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["plan", "1", "id", "$initial_x"]) | JSON,
        "value": JSON | st.sampled_from([1, 7, "7", True, "a"]),
        "operator": st.sampled_from(["exact", "regex", "in", "not_in", "flag_evaluates_to", "gt", "is_date_after"])
        | JSON,
        "type": st.sampled_from(["person", "cohort", "group", "flag", "person_metadata", "behavioral"]) | JSON,
        "negation": st.booleans() | JSON,
        "group_type_index": st.sampled_from([0, 1]) | JSON,
    },
)
ODD_FILTERS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "groups": JSON
        | st.lists(
            JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "properties": st.lists(ODD_PROPERTY, max_size=3) | JSON,
                    "rollout_percentage": PERCENTAGES | JSON,
                    "variant": st.sampled_from(["a"]) | JSON,
                    "aggregation_group_type_index": st.sampled_from([0, 1]) | JSON,
                },
            ),
            max_size=3,
        ),
        "multivariate": st.just(VARIANTS) | JSON,
        "holdout": JSON | st.fixed_dictionaries({"id": st.integers(), "exclusion_percentage": st.floats() | JSON}),
        "payloads": JSON,
        "feature_enrollment": st.booleans() | JSON,
        "early_exit": st.booleans() | JSON,
    },
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(ODD_FILTERS, min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from([7, 8, 9]), st.tuples(st.booleans(), JSON | st.just({"properties": {"values": []}}))
    ),
    st.dictionaries(st.sampled_from(["plan", "$initial_x", "x"]), JSON),
    st.text(max_size=5),
)
def test_anything_stored__is_answered_and_leaves_the_other_flags_alone(
    documents: list[Any], cohorts: dict[int, tuple[bool, Any]], person: dict[str, Any], distinct_id: str
) -> None:
    odd = [
        stored({"id": number, "key": f"odd-{number}", "filters": filters, "ensure_experience_continuity": number == 2})
        for number, filters in enumerate(documents, start=1)
    ]
    definitions = project([*odd, flag("fine", 99)], cohorts, {0: "company"})
    found = answers(definitions, subject(distinct_id, person=person, groups={"company": "acme"}))
    assert found["fine"].enabled
    assert found.keys() == {"fine", *(one.key for one in odd)}
    assert all(evaluation.description is None or not evaluation.failed for evaluation in found.values())


SEED = 20260115
# A correct hash fails each of these once in ten thousand seeds; the seed is fixed.
SIGNIFICANCE = 1e-4


def ids(count: int) -> list[str]:
    source = random.Random(SEED)
    return [f"{source.getrandbits(64):016x}" for _ in range(count)]


def test_shares__of_random_ids__are_uniform() -> None:
    bins = [0] * 100
    for one in ids(50_000):
        bins[min(99, int(share(f"some-flag.{one}") * 100))] += 1
    assert chisquare(bins).pvalue > SIGNIFICANCE


def test_shares__of_consecutive_ids__are_uniform() -> None:
    bins = [0] * 50
    for number in range(50_000):
        bins[min(49, int(share(f"some-flag.user-{number}") * 50))] += 1
    assert chisquare(bins).pvalue > SIGNIFICANCE


def test_shares__of_two_flags__are_independent() -> None:
    table = [[0] * 10 for _ in range(10)]
    for one in ids(50_000):
        table[min(9, int(share(f"first.{one}") * 10))][min(9, int(share(f"second.{one}") * 10))] += 1
    assert chi2_contingency(table).pvalue > SIGNIFICANCE


def test_variants__do_not_depend_on_the_rollout_of_the_same_flag() -> None:
    group = EVERYBODY | {"rollout_percentage": 50}
    definitions = project([flag("both", groups=[group], multivariate=VARIANTS)])
    taken = [answers(definitions, subject(one))["both"] for one in ids(20_000)]
    inside = [evaluation.variant for evaluation in taken if evaluation.enabled]
    expected = [len(inside) * 0.4, len(inside) * 0.6]
    assert chisquare([inside.count("a"), inside.count("b")], expected).pvalue > SIGNIFICANCE
    assert chisquare([len(inside), len(taken) - len(inside)]).pvalue > SIGNIFICANCE
