"""CUPED: what it may not change, what it must gain, and the linearised ratio checked unit by unit."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stats import cuped
from stats.analysis import compare
from stats.bayesian import BayesianTest
from stats.effects import Difference
from stats.frequentist import WelchTest
from stats.results import BayesianResult, FrequentistResult, InvalidParameter, Undetermined
from stats.samples import Covariate, MeanSample, ProportionSample, RatioSample, Sample
from stats.sequential import SequentialTest
from tests.stats.arms import scales, tests_of_all_kinds, unit_values


def adjusted(treatment: Sample, baseline: Sample, scale: str, theta: float | None = None) -> Difference:
    delta = cuped.adjusted_difference(
        treatment=treatment,
        baseline=baseline,
        difference_type=scale,  # type: ignore[arg-type]  # sampled from the two scales
        theta=theta,
    )
    assert isinstance(delta, Difference)
    return delta


def ratio_arm(*, units: int, seed: int, lift: float = 0.0) -> tuple[RatioSample, dict[str, np.ndarray]]:
    """An arm of correlated numerators and denominators, now and in the lookback, with the values of its units."""
    random = np.random.default_rng(seed)
    size = random.gamma(3.0, size=units)
    values = {
        "m": size * (2 + lift) + random.normal(0, 1, units),
        "d": size + random.gamma(2.0, size=units),
        "mx": size * 2 + random.normal(0, 1, units),
        "dx": size + random.gamma(2.0, size=units),
    }
    sample = RatioSample.from_values(
        values["m"], values["d"], covariate_numerator=values["mx"], covariate_denominator=values["dx"]
    )
    return sample, values


@settings(deadline=None)
@given(treated=unit_values(), base=unit_values(), scale=scales, test=tests_of_all_kinds)
def test_zero_theta__any_arms__answers_the_plain_test_bit_for_bit(
    treated: tuple[list[float], list[float]],
    base: tuple[list[float], list[float]],
    scale: str,
    test: WelchTest | SequentialTest | BayesianTest,
) -> None:
    constant_covariate = [MeanSample.from_values(y, covariate=np.full(len(y), 2.0)) for y in (treated[0], base[0])]
    plain = [MeanSample.from_values(y) for y in (treated[0], base[0])]
    with_cuped, without = (
        compare(treatment=arms[0], baseline=arms[1], test=test, difference_type=scale)  # type: ignore[arg-type]  # sampled
        for arms in (constant_covariate, plain)
    )

    if isinstance(without, Undetermined):
        assert with_cuped == without
        return
    assert isinstance(with_cuped, FrequentistResult | BayesianResult)
    for name in without.__slots__:
        if name != "variance_reduction":
            assert getattr(with_cuped, name) == getattr(without, name)


@settings(deadline=None)
@given(treated=unit_values(), base=unit_values(), scale=scales, shift=st.integers(-4000, 4000))
def test_covariate_shift__any_arms__changes_nothing(
    treated: tuple[list[float], list[float]], base: tuple[list[float], list[float]], scale: str, shift: int
) -> None:
    assume(np.var(treated[1] + base[1]) > 1e-3)
    here, there = (
        compare(
            treatment=MeanSample.from_values(treated[0], covariate=np.add(treated[1], by)),
            baseline=MeanSample.from_values(base[0], covariate=np.add(base[1], by)),
            test=WelchTest(),
            difference_type=scale,  # type: ignore[arg-type]  # sampled from the two scales
        )
        for by in (0.0, shift / 8)
    )
    assume(isinstance(here, FrequentistResult) and here.variance_reduction is not None)
    assume(isinstance(here, FrequentistResult) and (here.variance_reduction or 0) < 0.999)

    assert isinstance(here, FrequentistResult)
    assert isinstance(there, FrequentistResult)
    assert there.effect == pytest.approx(here.effect, rel=1e-9, abs=1e-12)
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-9, abs=1e-12)
    assert there.p_value == pytest.approx(here.p_value, rel=1e-7, abs=1e-12)
    assert there.confidence_interval == pytest.approx(here.confidence_interval, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("scale", ["RELATIVE", "ABSOLUTE"])
def test_mean__covariate_explains_most_of_the_outcome__narrows_the_interval(scale: str) -> None:
    random = np.random.default_rng(11)
    arms = []
    for lift in (0.3, 0.0):
        x = random.normal(20, 4, 800)
        arms.append(MeanSample.from_values(x + lift + random.normal(0, 1, 800), covariate=x))
    delta = adjusted(arms[0], arms[1], scale)
    plain = [MeanSample(n=arm.n, sum=arm.sum, sum_squares=arm.sum_squares) for arm in arms]
    unadjusted = compare(treatment=plain[0], baseline=plain[1], test=WelchTest(), difference_type=scale)  # type: ignore[arg-type]  # parametrised

    assert isinstance(unadjusted, FrequentistResult)
    assert delta.variance_reduction == pytest.approx(1 - 1 / 17, abs=0.02)
    assert delta.standard_error < 0.3 * unadjusted.standard_error


def test_mean__hand_counted_arms__theta_comes_from_added_sums() -> None:
    treatment = MeanSample(n=3, sum=9, sum_squares=29, covariate=Covariate(sum=6, sum_squares=14, product=20))
    baseline = MeanSample(n=3, sum=3, sum_squares=5, covariate=Covariate(sum=3, sum_squares=5, product=5))
    pair = cuped.adjust(treatment=treatment, baseline=baseline)

    # Over six units: Sxy = 25 - 12·9/6 = 7, Sxx = 19 - 81/6 = 5.5.
    assert isinstance(pair, cuped.Adjustment)
    assert pair.theta == pytest.approx(7 / 5.5)


@pytest.mark.parametrize("kind", [MeanSample, ProportionSample])
def test_adjusted_variance__covariate_equals_outcome__is_kept_above_the_floor(
    kind: type[MeanSample] | type[ProportionSample],
) -> None:
    arm = kind.from_values([0, 1] * 50, covariate=[0, 1] * 50)
    pair = cuped.adjust(treatment=arm, baseline=arm)

    assert isinstance(pair, cuped.Adjustment)
    assert pair.theta == pytest.approx(1.0)
    assert pair.treatment.adjusted_variance(pair.theta) == 1e-10


def test_ratio__linearised_by_sums__equals_the_moments_of_linearised_units() -> None:
    sample, units = ratio_arm(units=500, seed=5)
    ratio, past_ratio = units["m"].sum() / units["d"].sum(), units["mx"].sum() / units["dx"].sum()
    y = (units["m"] - ratio * units["d"]) / units["d"].mean()
    x = (units["mx"] - past_ratio * units["dx"]) / units["dx"].mean()
    expected = np.cov(y, x)
    arm = cuped.linear(sample)

    assert isinstance(arm, cuped.Linear)
    assert arm.outcome.variance == pytest.approx(expected[0, 0])
    assert arm.covariate.variance == pytest.approx(expected[1, 1])
    assert arm.covariance == pytest.approx(expected[0, 1])
    assert (arm.outcome.mean, arm.covariate.mean) == pytest.approx((ratio, past_ratio))


def test_ratio__denominator_one_for_all__answers_as_the_mean_does() -> None:
    random = np.random.default_rng(8)
    means: list[Sample] = []
    ratios: list[Sample] = []
    for _ in range(2):
        x = random.normal(10, 2, 300)
        y = x + random.normal(0, 1, 300)
        means.append(MeanSample.from_values(y, covariate=x))
        ones = np.ones(300)
        ratios.append(RatioSample.from_values(y, ones, covariate_numerator=x, covariate_denominator=ones))
    # The two define their own θ and their own q; with the same θ the absolute scale has nothing left to differ in.
    mean, ratio = (adjusted(arms[0], arms[1], "ABSOLUTE", theta=0.9) for arms in (means, ratios))

    assert ratio.effect == pytest.approx(mean.effect, rel=1e-9)
    assert ratio.variance == pytest.approx(mean.variance, rel=1e-9)
    assert ratio.degrees_of_freedom == pytest.approx(mean.degrees_of_freedom, rel=1e-9)


def test_ratio__arm_without_lookback_denominator__is_not_adjusted() -> None:
    base, units = ratio_arm(units=200, seed=1)
    nothing = np.zeros(200)
    unknown_past = RatioSample.from_values(
        units["m"], units["d"], covariate_numerator=nothing, covariate_denominator=nothing
    )
    pair = cuped.adjust(treatment=unknown_past, baseline=base)

    assert isinstance(pair, cuped.Adjustment)
    assert pair.theta == 0
    assert adjusted(unknown_past, base, "RELATIVE").variance_reduction == 0


@pytest.mark.parametrize("scale", ["RELATIVE", "ABSOLUTE"])
def test_ratio__negated_numerators__mirrors_effect_and_keeps_standard_error(scale: str) -> None:
    treated, base = ratio_arm(units=300, seed=2, lift=0.1), ratio_arm(units=300, seed=3)
    mirrored = [
        RatioSample.from_values(-u["m"], u["d"], covariate_numerator=-u["mx"], covariate_denominator=u["dx"])
        for u in (treated[1], base[1])
    ]
    here, there = adjusted(treated[0], base[0], scale), adjusted(mirrored[0], mirrored[1], scale)

    assert there.effect == pytest.approx(-here.effect, rel=1e-9)
    assert there.variance == pytest.approx(here.variance, rel=1e-9)


def test_theta__two_treatments_of_one_baseline__belongs_to_each_pair() -> None:
    random = np.random.default_rng(4)
    x = random.normal(0, 1, (3, 400))
    slopes = (0.2, 0.9, 0.5)
    base, first, second = (
        MeanSample.from_values(5 + slope * xs + random.normal(0, 1, 400), covariate=xs)
        for slope, xs in zip(slopes, x, strict=True)
    )
    pairs = [cuped.adjust(treatment=arm, baseline=base) for arm in (first, second)]

    thetas = [pair.theta for pair in pairs if isinstance(pair, cuped.Adjustment)]
    assert thetas == pytest.approx([0.55, 0.35], abs=0.1)


def test_variance_reduction__outcome_without_variance__is_unknown_not_zero() -> None:
    constant = cuped.linear(MeanSample.from_values([2.0] * 60, covariate=list(range(60))))

    assert isinstance(constant, cuped.Linear)
    assert constant.variance_reduction(0.4) is None


def test_linear__sample_without_covariate__is_refused() -> None:
    with pytest.raises(InvalidParameter):
        cuped.linear(MeanSample(n=60, sum=60, sum_squares=70))


def test_adjust__samples_of_different_kinds__is_refused() -> None:
    covariate = Covariate(sum=1, sum_squares=1, product=1)
    with pytest.raises(InvalidParameter):
        cuped.adjust(
            treatment=MeanSample(n=60, sum=6, sum_squares=6, covariate=covariate),
            baseline=ProportionSample(n=60, sum=6, covariate=covariate),
        )


def test_adjusted_difference__covariate_sums_not_finite__is_undetermined() -> None:
    broken = MeanSample(n=60, sum=60, sum_squares=90, covariate=Covariate(sum=float("nan"), sum_squares=1, product=1))
    delta = cuped.adjusted_difference(treatment=broken, baseline=broken, difference_type="RELATIVE")

    assert delta == Undetermined("invalid-sums")
