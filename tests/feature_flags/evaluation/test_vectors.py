"""The documented test vectors: hashes, bucketing series, weight boundaries, whole evaluations."""

from bisect import bisect_left, bisect_right
from typing import Any

import pytest

from feature_flags.evaluation import bucketing
from tests.feature_flags.evaluation.cases import EVALUATION, EVERYBODY, HASH, answer, flag, project, stored, subject


@pytest.mark.parametrize("vector", HASH["vectors"], ids=lambda vector: vector["input"][:60])
def test_hash__is_the_documented_binary64(vector: dict[str, Any]) -> None:
    assert bucketing.share(vector["input"]) == vector["hash"]


@pytest.mark.parametrize("series", HASH["series"], ids=lambda series: series["flag_key"])
def test_series__puts_each_id_where_it_belongs(series: dict[str, Any]) -> None:
    group = EVERYBODY | {"rollout_percentage": series["rollout_percentage"]}
    multivariate = {"variants": series["variants"]} if series["variants"] else None
    definitions = project([flag(series["flag_key"], groups=[group], multivariate=multivariate)])
    found = []
    for position in range(len(series["expected"])):
        evaluation = answer(definitions, series["flag_key"], subject(f"{series['id_prefix']}{position}"))
        assert evaluation is not None
        found.append(evaluation.value)
    assert found == series["expected"]


def digest_at(share: float) -> bytes:
    """The first digest whose share is not less."""
    numbers = range(16**15)
    number = bisect_left(numbers, share, key=lambda number: float(number) / float(16**15 - 1))
    return (number << 4).to_bytes(8) + bytes(12)


@pytest.mark.parametrize("cumulative", HASH["cumulative"], ids=lambda row: str(row["weights"]))
def test_weights__end_at_their_unrounded_running_sum(cumulative: dict[str, Any]) -> None:
    assert list(bucketing.boundaries(cumulative["weights"])) == cumulative["boundaries"]
    ends = bucketing.ends(cumulative["weights"])
    for picked in cumulative["picks"]:
        index = bisect_right(ends, digest_at(picked["hash"]))
        assert (None if index == len(ends) else index) == picked["index"]


@pytest.mark.parametrize("case", EVALUATION["cases"], ids=lambda case: case["name"])
def test_evaluation__answers_as_documented(case: dict[str, Any]) -> None:
    context = case["context"]
    cohorts = {int(number): cohort for number, cohort in context["cohorts"].items()}
    definitions = project(
        [stored(case["flag"]), *(stored(other) for other in context.get("flags", []))],
        {number: (cohort["is_static"], cohort.get("filters")) for number, cohort in cohorts.items()},
        {int(index): name for index, name in context.get("group_type_mapping", {}).items()},
    )
    override = context.get("hash_key_override")
    groups = {name: str(key) for name, key in context["groups"].items()}
    who = subject(
        str(context["distinct_id"]),
        person=context["person_properties"],
        groups=groups,
        group_properties={
            name: context["group_properties"].get(name, {}) | {"$group_key": key} for name, key in groups.items()
        },
        device_id=context["device_id"],
        anonymous_id=context.get("anon_distinct_id"),
        overrides={} if override is None else {case["flag"]["id"]: override},
        static_cohorts=frozenset(number for number, cohort in cohorts.items() if cohort.get("is_member")),
    )
    evaluation = answer(definitions, case["flag"]["key"], who)
    if case["expected"] is None:
        assert evaluation is None
        return
    assert evaluation is not None
    found = {
        "enabled": evaluation.enabled,
        "variant": evaluation.variant,
        "reason": evaluation.reason,
        "condition_index": evaluation.condition_index,
        "payload": definitions.by_key[case["flag"]["key"]].payload(evaluation),
    } | ({"failed": True} if evaluation.failed else {})
    assert found == case["expected"]
