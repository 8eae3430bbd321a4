"""The confidence sequence: its documented properties, and its kinship with the fixed-horizon test."""

from math import log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats.analysis import compare
from stats.effects import Difference
from stats.frequentist import WelchTest
from stats.results import FrequentistResult, InvalidParameter
from stats.samples import MeanSample
from stats.sequential import SequentialTest
from tests.stats.arms import mean_arms, scales

sequential_tests = st.builds(
    SequentialTest,
    alpha=st.sampled_from([0.001, 0.01, 0.05, 0.2]),
    tuning_parameter=st.sampled_from([1, 500, 5000, 1e9]),
)


def both_looks(
    treatment: MeanSample, baseline: MeanSample, scale: str, test: SequentialTest
) -> tuple[FrequentistResult, FrequentistResult]:
    """The sequential and the fixed-horizon answer to the same data."""
    arms = {"treatment": treatment, "baseline": baseline, "difference_type": scale}
    sequential = compare(test=test, **arms)  # type: ignore[arg-type]  # one dict for two calls loses the types
    fixed = compare(test=WelchTest(alpha=test.alpha), **arms)  # type: ignore[arg-type]  # as above
    assert isinstance(sequential, FrequentistResult)
    assert isinstance(fixed, FrequentistResult)
    return sequential, fixed


def difference_of(*, effect: float, units: int, degrees_of_freedom: float = 1e6) -> Difference:
    return Difference(
        effect=effect,
        variance=1.0,
        degrees_of_freedom=degrees_of_freedom,
        units=units,
        baseline_size=1.0,
        difference_type="ABSOLUTE",
    )


@settings(deadline=None)
@given(treatment=mean_arms(least_units=5), baseline=mean_arms(least_units=5), scale=scales, test=sequential_tests)
def test_interval__any_arms__contains_zero_exactly_when_p_exceeds_alpha(
    treatment: MeanSample, baseline: MeanSample, scale: str, test: SequentialTest
) -> None:
    sequential, _ = both_looks(treatment, baseline, scale, test)

    assert sequential.interval_excludes_zero is (sequential.p_value < test.alpha)
    assert sequential.interval_excludes_zero is sequential.significant


@settings(deadline=None)
@given(treatment=mean_arms(least_units=5), baseline=mean_arms(least_units=5), scale=scales, test=sequential_tests)
def test_p_value__any_arms__is_never_below_the_fixed_horizon_one(
    treatment: MeanSample, baseline: MeanSample, scale: str, test: SequentialTest
) -> None:
    sequential, fixed = both_looks(treatment, baseline, scale, test)

    assert sequential.p_value >= fixed.p_value


@settings(deadline=None)
@given(treatment=mean_arms(), baseline=mean_arms(), scale=scales, test=sequential_tests)
def test_interval__any_arms__is_wider_than_the_fixed_horizon_one(
    treatment: MeanSample, baseline: MeanSample, scale: str, test: SequentialTest
) -> None:
    sequential, fixed = both_looks(treatment, baseline, scale, test)

    assert sequential.confidence_interval[0] < fixed.confidence_interval[0]
    assert sequential.confidence_interval[1] > fixed.confidence_interval[1]


@pytest.mark.parametrize("units", [10, 1000, 4968, 10**7])
def test_p_value__effect_on_the_edge_of_the_interval__is_alpha(units: int) -> None:
    test = SequentialTest(alpha=0.05, tuning_parameter=5000)
    half_width = test.half_width(difference_of(effect=0.0, units=units))

    assert test.p_value(difference_of(effect=half_width, units=units)) == pytest.approx(0.05, rel=1e-9)
    assert test.p_value(difference_of(effect=-half_width, units=units)) == pytest.approx(0.05, rel=1e-9)


def test_half_width__tuned_to_the_present_units__is_the_smallest_of_all_tunings() -> None:
    delta = difference_of(effect=0.0, units=5000)
    widths = {n: SequentialTest(tuning_parameter=n).half_width(delta) for n in (50, 500, 4000, 5000, 6250, 50_000)}

    # The closed form of the tuning is the first term of the optimum's expansion: right to a fraction of a percent.
    assert widths[5000] == pytest.approx(min(widths.values()), rel=1e-3)
    assert widths[5000] < widths[500] < widths[50]
    assert widths[5000] < widths[50_000]


def test_p_value__effect_far_out__has_digits_where_the_direct_formula_underflows() -> None:
    delta = difference_of(effect=38.0, units=20_000)
    test = SequentialTest(alpha=0.05, tuning_parameter=5000)
    twice_log = -2 * log(0.05)
    growth = 20_000 * (twice_log + log(twice_log + 1)) / 5000

    assert log(test.p_value(delta)) == pytest.approx(log(sqrt(growth + 1)) - growth * 38**2 / (2 * (growth + 1)))
    assert 0 < test.p_value(delta) < 1e-290


def test_infer__handful_of_units__claims_no_more_than_student_does() -> None:
    delta = difference_of(effect=30.0, units=10, degrees_of_freedom=4.0)
    test = SequentialTest(alpha=0.001, tuning_parameter=10)
    sequential, fixed = test.infer(delta), WelchTest(alpha=0.001).infer(delta)

    assert isinstance(sequential, FrequentistResult)
    assert isinstance(fixed, FrequentistResult)
    assert test.p_value(delta) < fixed.p_value
    assert sequential.p_value == fixed.p_value
    assert sequential.confidence_interval == fixed.confidence_interval
    assert sequential.degrees_of_freedom is None


@pytest.mark.parametrize(
    ("alpha", "tuning_parameter"),
    [(0.0, 5000), (1.0, 5000), (float("nan"), 5000), (0.05, 0), (0.05, -1), (0.05, float("nan")), (0.05, float("inf"))],
)
def test_construction__parameter_outside_its_domain__is_refused(alpha: float, tuning_parameter: float) -> None:
    with pytest.raises(InvalidParameter):
        SequentialTest(alpha=alpha, tuning_parameter=tuning_parameter)
