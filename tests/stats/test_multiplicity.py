"""Families of tests: order does not matter, nothing gets better, and intervals agree with p-values."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stats.analysis import compare
from stats.frequentist import WelchTest
from stats.multiplicity import Adjusted, Correction, adjust_family, adjusted_interval, benjamini_hochberg, holm
from stats.results import FrequentistResult, InvalidParameter
from stats.samples import MeanSample
from stats.sequential import SequentialTest
from tests.stats.arms import mean_arms

families = st.lists(st.floats(0, 1), min_size=1, max_size=12)
corrections = st.sampled_from(["holm", "benjamini_hochberg"])


def result(p_value: float, *, degrees_of_freedom: float | None = 98.0) -> FrequentistResult:
    return FrequentistResult(
        effect=0.2,
        standard_error=0.1,
        degrees_of_freedom=degrees_of_freedom,
        p_value=p_value,
        confidence_interval=(0.0, 0.4),
        significant=p_value < 0.05,
    )


@settings(deadline=None)
@given(p_values=families, data=st.data())
@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_correction__family_in_another_order__gives_each_member_the_same(
    correct: type, p_values: list[float], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(p_values))))
    here, there = correct(p_values), correct([p_values[index] for index in order])

    assert [here[index] for index in order] == list(there)


@settings(deadline=None)
@given(p_values=families)
def test_correction__any_family__lies_between_the_p_value_and_bonferroni(p_values: list[float]) -> None:
    m = len(p_values)
    for p_value, by_holm, by_bh in zip(p_values, holm(p_values), benjamini_hochberg(p_values), strict=True):
        assert p_value <= by_bh * (1 + 1e-12)
        assert by_bh <= by_holm * (1 + 1e-12)
        assert by_holm <= min(1.0, m * p_value) * (1 + 1e-12)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_correction__empty_family__is_empty(correct: type) -> None:
    assert correct([]) == ()


@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("nan")])
def test_correction__no_p_value__is_refused(p_value: float) -> None:
    with pytest.raises(InvalidParameter):
        holm([0.1, p_value])


@settings(deadline=None)
@given(arms=st.lists(mean_arms(), min_size=3, max_size=5), correction=corrections)
def test_family__interval_adjusted__excludes_zero_exactly_when_adjusted_p_is_below_alpha(
    arms: list[MeanSample], correction: Correction
) -> None:
    results = [
        compare(treatment=arm, baseline=arms[0], test=WelchTest(), difference_type="RELATIVE") for arm in arms[1:]
    ]
    members = [member for member in results if isinstance(member, FrequentistResult)]
    assume(len(members) == len(arms) - 1)
    for member, adjusted in zip(
        members, adjust_family(correction=correction, results=members, alpha=0.05), strict=True
    ):
        assert adjusted.p_value_adjusted is not None
        interval = adjusted.confidence_interval_adjusted
        if interval is None:
            assert adjusted.p_value_adjusted == 1 or member.effect == 0
            continue
        assert interval[0] <= member.confidence_interval[0]
        assert interval[1] >= member.confidence_interval[1]
        if abs(adjusted.p_value_adjusted - 0.05) > 1e-6:
            assert (interval[0] > 0 or interval[1] < 0) is (adjusted.p_value_adjusted < 0.05)


def test_family__member_without_statistics__stays_outside_and_is_not_counted() -> None:
    adjusted = adjust_family(correction="holm", results=[result(0.01), None, result(0.03)], alpha=0.05)

    assert [member.p_value_adjusted for member in adjusted] == [0.02, None, 0.03]
    assert adjusted[1] == Adjusted()


def test_family__without_correction__adjusts_nothing() -> None:
    assert adjust_family(correction="none", results=[result(0.01), None], alpha=0.05) == (Adjusted(), Adjusted())


def test_family__sequential_members__get_p_values_but_no_intervals() -> None:
    looks = [result(0.01, degrees_of_freedom=None), result(0.03)]
    first, second = adjust_family(correction="benjamini_hochberg", results=looks, alpha=0.05)

    assert (first.p_value_adjusted, second.p_value_adjusted) == (0.02, 0.03)
    assert first.confidence_interval_adjusted is None
    assert second.confidence_interval_adjusted is not None


def test_family__sequential_test_of_real_arms__has_no_degrees_of_freedom_to_adjust_with() -> None:
    arm = MeanSample(n=100, sum=200, sum_squares=500)
    answer = compare(treatment=arm, baseline=arm, test=SequentialTest(), difference_type="RELATIVE")

    assert isinstance(answer, FrequentistResult)
    assert answer.degrees_of_freedom is None


@pytest.mark.parametrize(("effect", "p_value_adjusted"), [(0.0, 0.5), (0.1, 1.0), (-0.0, 0.01)])
def test_interval__nothing_to_scale__is_absent(effect: float, p_value_adjusted: float) -> None:
    interval = adjusted_interval(
        effect=effect, degrees_of_freedom=98.0, p_value_adjusted=p_value_adjusted, alpha=0.05, unadjusted=(-1.0, 1.0)
    )

    assert interval is None


def test_interval__p_value_underflowed_to_zero__is_the_unadjusted_one() -> None:
    interval = adjusted_interval(
        effect=5.0, degrees_of_freedom=1e5, p_value_adjusted=0.0, alpha=0.05, unadjusted=(4.8, 5.2)
    )

    assert interval == (4.8, 5.2)
