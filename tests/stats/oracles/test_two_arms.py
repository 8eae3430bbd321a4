"""Two arms compared, against scipy, statsmodels and tea-tasting.

Where the service's answer differs from an oracle's on purpose, the test says how and checks that nothing else differs.
"""

from math import exp, log, sqrt

import numpy as np
import pytest
import tea_tasting as tt
from scipy import integrate
from scipy import stats as scipy_stats
from statsmodels.stats import proportion, weightstats
from tea_tasting.metrics.mean import MeanResult

from stats.analysis import compare
from stats.bayesian import BayesianTest, Prior
from stats.effects import Difference, welch_degrees_of_freedom
from stats.frequentist import WelchTest
from stats.results import BayesianResult, DifferenceType, FrequentistResult
from stats.samples import MeanSample, Moments, ProportionSample, RatioSample, Sample
from stats.sequential import SequentialTest, mixture_rho
from tests.stats.oracles.data import Units, arm, table

CONTROL = arm(units=900, seed=1)
TREATMENTS = {"no effect": arm(units=800, seed=2), "large effect": arm(units=300, seed=3, lift=0.4)}
ALPHA = 0.02
Z = scipy_stats.norm.isf(ALPHA / 2)

treatments = pytest.mark.parametrize("treatment", TREATMENTS.values(), ids=TREATMENTS.keys())


def welch(treatment: Sample, baseline: Sample, difference_type: DifferenceType) -> FrequentistResult:
    result = compare(
        treatment=treatment, baseline=baseline, test=WelchTest(alpha=ALPHA), difference_type=difference_type
    )
    assert isinstance(result, FrequentistResult)
    return result


def mean(units: Units) -> MeanSample:
    return MeanSample.from_values(units.y)


def ratio(units: Units) -> RatioSample:
    return RatioSample.from_values(units.y, units.d)


def moments(sample: Sample) -> Moments:
    found = sample.moments()
    assert isinstance(found, Moments)
    return found


@treatments
def test_absolute_mean__is_scipys_welch_test(treatment: Units) -> None:
    ours = welch(mean(treatment), mean(CONTROL), "ABSOLUTE")
    theirs = scipy_stats.ttest_ind(treatment.y, CONTROL.y, equal_var=False)
    interval = theirs.confidence_interval(1 - ALPHA)

    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    assert ours.effect / ours.standard_error == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.degrees_of_freedom == pytest.approx(theirs.df, rel=1e-9)
    assert ours.confidence_interval == pytest.approx((interval.low, interval.high), rel=1e-8)


@treatments
def test_absolute_mean__is_statsmodels_comparison_of_means(treatment: Units) -> None:
    ours = welch(mean(treatment), mean(CONTROL), "ABSOLUTE")
    theirs = weightstats.CompareMeans.from_data(treatment.y, CONTROL.y)
    t, p_value, degrees_of_freedom = theirs.ttest_ind(usevar="unequal")

    assert (ours.p_value, ours.degrees_of_freedom) == pytest.approx((p_value, degrees_of_freedom), rel=1e-8)
    assert ours.effect / ours.standard_error == pytest.approx(t, rel=1e-9)
    assert ours.confidence_interval == pytest.approx(theirs.tconfint_diff(alpha=ALPHA, usevar="unequal"), rel=1e-8)


@treatments
@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_absolute_effect__is_tea_tastings(treatment: Units, kind: str) -> None:
    theirs = _tea_tasting(kind, treatment=treatment)
    sample = mean if kind == "mean" else ratio
    ours = welch(sample(treatment), sample(CONTROL), "ABSOLUTE")

    assert ours.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    assert ours.confidence_interval == pytest.approx(
        (theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-8
    )


@treatments
@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_relative_effect__has_tea_tastings_standard_error(treatment: Units, kind: str) -> None:
    """Their interval is made on the logarithm of T/C and carried back, with degrees of freedom of that logarithm.

    Ours is made on T/C itself, so that it belongs to the p-value shown and may cover values below -100 %. Both rest
    on one delta method: our standard error is T/C times that of their logarithm.
    """
    theirs = _tea_tasting(kind, treatment=treatment)
    sample = mean if kind == "mean" else ratio
    ours = welch(sample(treatment), sample(CONTROL), "RELATIVE")
    quotient = 1 + theirs.rel_effect_size

    relative = [
        Moments(n=arm.n, mean=1.0, variance=arm.variance / arm.mean**2)
        for arm in (moments(sample(treatment)), moments(sample(CONTROL)))
    ]
    df_of_logarithm = welch_degrees_of_freedom(treatment=relative[0], baseline=relative[1])
    half_width = log(1 + theirs.rel_effect_size_ci_upper) - log(quotient)
    error_of_logarithm = half_width / scipy_stats.t.isf(ALPHA / 2, df_of_logarithm)

    assert ours.effect == pytest.approx(theirs.rel_effect_size, rel=1e-9)
    assert ours.standard_error == pytest.approx(quotient * error_of_logarithm, rel=1e-8)


def test_relative_interval__many_units__is_nearly_tea_tastings() -> None:
    control, treatment = arm(units=200_000, seed=4), arm(units=200_000, seed=5, lift=0.02)
    theirs = _tea_tasting("mean", treatment=treatment, control=control)
    ours = welch(mean(treatment), mean(control), "RELATIVE")

    width = theirs.rel_effect_size_ci_upper - theirs.rel_effect_size_ci_lower
    assert ours.confidence_interval == pytest.approx(
        (theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper), abs=0.01 * width
    )


@pytest.mark.parametrize(("successes", "units"), [((87, 62), (1529, 1471)), ((400, 620), (1000, 1200))])
def test_proportions__have_statsmodels_wald_errors(successes: tuple[int, int], units: tuple[int, int]) -> None:
    """Theirs takes normal quantiles, ours those of Student's t: the standard errors are compared."""
    baseline, treatment = (ProportionSample(n=n, sum=s) for n, s in zip(units, successes, strict=True))
    absolute = welch(treatment, baseline, "ABSOLUTE")
    relative = welch(treatment, baseline, "RELATIVE")
    counts = (successes[1], units[1], successes[0], units[0])

    low, high = proportion.confint_proportions_2indep(*counts, compare="diff", method="wald", alpha=ALPHA)
    assert absolute.standard_error == pytest.approx((high - low) / (2 * Z), rel=1e-9)
    assert absolute.effect == pytest.approx((high + low) / 2, rel=1e-9)

    # As with tea-tasting: they take the logarithm of T/C.
    low, high = proportion.confint_proportions_2indep(*counts, compare="ratio", method="log", alpha=ALPHA)
    quotient = sqrt(low * high)
    assert relative.effect == pytest.approx(quotient - 1, rel=1e-8)
    assert relative.standard_error == pytest.approx(quotient * log(high / low) / (2 * Z), rel=1e-8)


def test_ratio__of_one_denominator_each__is_the_mean() -> None:
    """With d = 1 for every unit nothing is left of the delta method."""
    arms = [RatioSample.from_values(units.y, np.ones(units.n)) for units in (TREATMENTS["large effect"], CONTROL)]
    theirs = scipy_stats.ttest_ind(TREATMENTS["large effect"].y, CONTROL.y, equal_var=False)

    assert welch(arms[0], arms[1], "ABSOLUTE").p_value == pytest.approx(theirs.pvalue, rel=1e-8)


@pytest.mark.parametrize("prior", [None, Prior(mean=0.05, variance=0.002)], ids=["flat", "normal"])
@pytest.mark.parametrize("effect", [-0.1, 0.001, 0.3])
def test_bayesian__is_the_posterior_that_integration_finds(effect: float, prior: Prior | None) -> None:
    """Likelihood times prior, integrated by quadrature, without any of the closed forms."""
    delta = Difference(
        effect=effect,
        variance=0.004,
        degrees_of_freedom=500.0,
        units=502,
        baseline_size=3.0,
        difference_type="RELATIVE",
    )
    ours = BayesianTest(ci_level=0.9, prior=prior).infer(delta)
    assert isinstance(ours, BayesianResult)

    def density(x: float) -> float:
        likelihood = scipy_stats.norm.pdf(effect, loc=x, scale=sqrt(delta.variance))
        return float(likelihood * (1 if prior is None else scipy_stats.norm.pdf(x, prior.mean, sqrt(prior.variance))))

    def over(low: float, high: float, power: int = 0) -> float:
        return float(
            integrate.quad(lambda x: x**power * density(x), low, high, epsabs=1e-11, epsrel=1e-9, limit=400)[0]
        )

    least, most = effect - 1.5, effect + 1.5
    mass = over(least, most)
    mean_ = over(least, most, 1) / mass
    assert ours.effect == pytest.approx(mean_, rel=1e-7)
    assert ours.standard_error == pytest.approx(sqrt(over(least, most, 2) / mass - mean_**2), rel=1e-7)
    assert ours.chance_to_win == pytest.approx(over(0, most) / mass, rel=1e-7)
    assert ours.expected_loss.control == pytest.approx(over(0, most, 1) / mass, rel=1e-6)
    assert ours.expected_loss.treatment == pytest.approx(-over(least, 0, 1) / mass, rel=1e-6)
    assert over(*ours.credible_interval) / mass == pytest.approx(0.9, rel=1e-7)


@pytest.mark.parametrize("units", [60, 5000, 80_000])
@pytest.mark.parametrize("z", [0.3, 2.5, 4.0])
def test_sequential__p_value_is_the_inverse_of_the_mixture(units: int, z: float) -> None:
    """The p-value is 1/M for the martingale M = ∫ exp(λS - λ²n/2) dN(λ; 0, ρ²), S = z√n: integrated here."""
    test = SequentialTest(alpha=0.05, tuning_parameter=5000)
    rho = mixture_rho(alpha=0.05, tuning_parameter=5000)
    delta = Difference(
        effect=z, variance=1.0, degrees_of_freedom=1e9, units=units, baseline_size=1.0, difference_type="ABSOLUTE"
    )
    centre = z / sqrt(units) * units * rho**2 / (units * rho**2 + 1)
    spread = rho / sqrt(units * rho**2 + 1)
    mixture, _ = integrate.quad(
        lambda by: exp(by * z * sqrt(units) - by * by * units / 2) * scipy_stats.norm.pdf(by, scale=rho),
        centre - 12 * spread,
        centre + 12 * spread,
        epsrel=1e-11,
    )

    assert test.p_value(delta) == pytest.approx(min(1.0, 1 / mixture), rel=1e-7)


def _tea_tasting(kind: str, *, treatment: Units, control: Units = CONTROL) -> MeanResult:
    level = {"confidence_level": 1 - ALPHA}
    metric = tt.Mean("y", **level) if kind == "mean" else tt.RatioOfMeans("y", "d", **level)
    experiment = tt.Experiment({"metric": metric}, variant="variant")
    result = experiment.analyze(table(control=control, treatment=treatment), control="control")["metric"]
    assert isinstance(result, MeanResult)
    return result
