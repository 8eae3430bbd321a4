"""A whole answer: every float finite, every missing statistic with a code, whatever the sums are."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats.analysis import StatisticalTest, analyse, compare
from stats.bayesian import BayesianTest
from stats.frequentist import WelchTest
from stats.results import BayesianResult, FrequentistResult, Undetermined, favourable
from stats.samples import Covariate, MeanSample, ProportionSample
from tests.stats.arms import any_sample, mean_arms, scales, tests_of_all_kinds

METRIC_TYPES = {"mean": ["mean"], "proportion": ["mean", "funnel"], "ratio": ["ratio", "retention"]}


def floats_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in floats_in(part)]
    if isinstance(value, tuple):
        return [number for part in value for number in floats_in(part)]
    return [value] if isinstance(value, float) else []


@settings(deadline=None, max_examples=500)
@given(data=st.data(), test=tests_of_all_kinds, scale=scales)
def test_analyse__any_sums_at_all__gives_finite_numbers_or_a_code(
    data: st.DataObject, test: StatisticalTest, scale: str
) -> None:
    kind = data.draw(st.sampled_from(sorted(METRIC_TYPES)))
    arms = data.draw(st.lists(any_sample(kind=kind), min_size=2, max_size=4))
    answer = analyse(
        metric_type=data.draw(st.sampled_from(METRIC_TYPES[kind])),
        baseline=arms[0],
        treatments=arms[1:],
        test=test,
        difference_type=scale,  # type: ignore[arg-type]  # sampled from the two scales
    )

    assert len(answer.treatments) == len(arms) - 1
    for treatment in answer.treatments:
        if treatment.result is None:
            assert treatment.validation_failures or answer.baseline_validation_failures
        else:
            assert not treatment.validation_failures
            assert not answer.baseline_validation_failures
            assert all(math.isfinite(number) for number in floats_in(dataclasses.asdict(treatment.result)))


@settings(deadline=None)
@given(treatment=mean_arms(), baseline=mean_arms(), scale=scales)
def test_compare__realistic_arms__always_gives_a_result(
    treatment: MeanSample, baseline: MeanSample, scale: str
) -> None:
    fixed = compare(treatment=treatment, baseline=baseline, test=WelchTest(), difference_type=scale)  # type: ignore[arg-type]  # sampled
    bayesian = compare(treatment=treatment, baseline=baseline, test=BayesianTest(), difference_type=scale)  # type: ignore[arg-type]  # sampled

    assert isinstance(fixed, FrequentistResult)
    assert isinstance(bayesian, BayesianResult)
    assert 0 <= fixed.p_value <= 1
    assert 0 <= bayesian.chance_to_win <= 1
    assert fixed.confidence_interval[0] <= fixed.effect <= fixed.confidence_interval[1]
    assert fixed.significant is fixed.interval_excludes_zero
    assert bayesian.effect == fixed.effect
    assert bayesian.expected_loss.treatment >= 0
    assert bayesian.expected_loss.control >= 0


@settings(deadline=None)
@given(treatment=mean_arms(), baseline=mean_arms(), factor=st.floats(0.01, 100))
def test_compare__metric_in_other_units__leaves_the_relative_answer(
    treatment: MeanSample, baseline: MeanSample, factor: float
) -> None:
    here, there = (
        compare(
            treatment=MeanSample(n=treatment.n, sum=treatment.sum * by, sum_squares=treatment.sum_squares * by * by),
            baseline=MeanSample(n=baseline.n, sum=baseline.sum * by, sum_squares=baseline.sum_squares * by * by),
            test=WelchTest(),
            difference_type="RELATIVE",
        )
        for by in (1.0, factor)
    )

    assert isinstance(here, FrequentistResult)
    assert isinstance(there, FrequentistResult)
    assert there.effect == pytest.approx(here.effect, rel=1e-9, abs=1e-9)
    # Sums of squares of a mean far above the spread lose the digits that the scaling shows.
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-4)


def test_analyse__failing_baseline__leaves_every_treatment_without_statistics() -> None:
    good = ProportionSample(n=1000, sum=100)
    answer = analyse(
        metric_type="funnel",
        baseline=ProportionSample(n=1000, sum=4),
        treatments=[good, ProportionSample(n=10, sum=9)],
        test=WelchTest(),
        difference_type="RELATIVE",
    )

    assert answer.baseline_validation_failures == ("not-enough-metric-data",)
    assert [treatment.result for treatment in answer.treatments] == [None, None]
    assert [treatment.validation_failures for treatment in answer.treatments] == [(), ("not-enough-exposures",)]


def test_analyse__pair_without_variance__puts_the_code_on_the_treatment() -> None:
    constant = MeanSample(n=64, sum=128, sum_squares=256)
    varied = MeanSample(n=64, sum=128, sum_squares=300)
    answer = analyse(
        metric_type="mean",
        baseline=constant,
        treatments=[constant, varied],
        test=WelchTest(),
        difference_type="RELATIVE",
    )

    assert answer.baseline_validation_failures == ()
    assert answer.treatments[0].validation_failures == ("zero-variance",)
    assert answer.treatments[1].result is not None


def test_compare__covariate_on_one_arm_only__answers_the_plain_test() -> None:
    bare = MeanSample(n=100, sum=220, sum_squares=600)
    base = MeanSample(n=100, sum=200, sum_squares=500)
    covered = dataclasses.replace(bare, covariate=Covariate(sum=9, sum_squares=40, product=30))
    answers = [
        compare(treatment=arm, baseline=base, test=WelchTest(), difference_type="RELATIVE") for arm in (bare, covered)
    ]

    assert answers[0] == answers[1]
    assert isinstance(answers[0], FrequentistResult)
    assert answers[0].variance_reduction is None


def test_compare__one_arm_against_itself__is_no_effect_with_certainty_of_nothing() -> None:
    arm = MeanSample(n=100, sum=200, sum_squares=500)
    result = compare(treatment=arm, baseline=arm, test=WelchTest(), difference_type="RELATIVE")

    assert isinstance(result, FrequentistResult)
    assert (result.effect, result.p_value) == (0.0, 1.0)
    assert result.significant is False


def test_compare__a_handful_of_units__is_undetermined_not_a_number() -> None:
    arm = MeanSample(n=4, sum=8, sum_squares=20)

    assert compare(treatment=arm, baseline=arm, test=WelchTest(), difference_type="RELATIVE") == Undetermined(
        "not-enough-units"
    )


@pytest.mark.parametrize(
    ("effect", "significant", "goal", "answer"),
    [
        (0.1, True, "increase", True),
        (0.1, True, "decrease", False),
        (-0.1, True, "increase", False),
        (-0.1, True, "decrease", True),
        (0.1, False, "increase", None),
        (-0.1, False, "decrease", None),
    ],
)
def test_favourable__effect_and_goal__agree_only_when_significant(
    effect: float, significant: bool, goal: Any, answer: bool | None
) -> None:
    result = FrequentistResult(
        effect=effect,
        standard_error=0.1,
        degrees_of_freedom=98.0,
        p_value=0.5,
        confidence_interval=(-1.0, 1.0),
        significant=significant,
    )

    assert favourable(result=result, goal=goal) is answer
