"""CUPED against tea-tasting, and against regression followed by a plain test of its residuals."""

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
import tea_tasting as tt
from scipy import stats as scipy_stats
from tea_tasting.metrics.mean import MeanResult

from stats import cuped
from stats.analysis import compare
from stats.effects import Difference
from stats.frequentist import WelchTest
from stats.results import FrequentistResult
from stats.samples import MeanSample, ProportionSample, RatioSample, Sample
from tests.stats.oracles.data import Floats, Units, arm, table

CONTROL, TREATMENT = arm(units=900, seed=11), arm(units=700, seed=12, lift=0.1)


def with_covariate(units: Units) -> MeanSample:
    return MeanSample.from_values(units.y, covariate=units.x)


def ratio_with_covariate(units: Units) -> RatioSample:
    return RatioSample.from_values(units.y, units.d, covariate_numerator=units.x, covariate_denominator=units.dx)


def funnel_with_covariate(units: Units) -> ProportionSample:
    return ProportionSample.from_values(units.y > 8, covariate=units.x > 8)


SAMPLES: dict[str, Callable[[Units], Sample]] = {
    "mean": with_covariate,
    "funnel": funnel_with_covariate,
    "ratio": ratio_with_covariate,
}


def linearised(numerator: Floats, denominator: Floats) -> Floats:
    ratio = float(numerator.sum() / denominator.sum())
    return np.asarray((numerator - ratio * denominator) / denominator.mean())


def absolute(treatment: MeanSample, baseline: MeanSample) -> FrequentistResult:
    result = compare(treatment=treatment, baseline=baseline, test=WelchTest(), difference_type="ABSOLUTE")
    assert isinstance(result, FrequentistResult)
    return result


def tea_tasting(metric: tt.Mean | tt.RatioOfMeans) -> MeanResult:
    experiment = tt.Experiment({"metric": metric}, variant="variant")
    result = experiment.analyze(table(control=CONTROL, treatment=TREATMENT), control="control")["metric"]
    assert isinstance(result, MeanResult)
    return result


def test_mean__is_tea_tastings_adjusted_test() -> None:
    ours = absolute(with_covariate(TREATMENT), with_covariate(CONTROL))
    theirs = tea_tasting(tt.Mean("y", "x"))

    assert ours.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-7)
    assert ours.confidence_interval == pytest.approx(
        (theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-7
    )


def test_mean__is_welchs_test_of_the_residuals_of_a_regression() -> None:
    """θ is the slope of ordinary least squares over both arms; what it leaves is compared as any outcome is."""
    y, x = np.append(TREATMENT.y, CONTROL.y), np.append(TREATMENT.x, CONTROL.x)
    slope = sm.OLS(y, sm.add_constant(x)).fit().params[1]
    residuals = [units.y - slope * units.x for units in (TREATMENT, CONTROL)]
    theirs = scipy_stats.ttest_ind(*residuals, equal_var=False)
    ours = absolute(with_covariate(TREATMENT), with_covariate(CONTROL))
    pair = cuped.adjust(treatment=with_covariate(TREATMENT), baseline=with_covariate(CONTROL))

    assert isinstance(pair, cuped.Adjustment)
    assert pair.theta == pytest.approx(slope, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-7)
    assert ours.degrees_of_freedom == pytest.approx(theirs.df, rel=1e-9)
    reductions = [1 - np.var(left, ddof=1) / np.var(TREATMENT.y, ddof=1) for left in residuals[:1]]
    assert ours.variance_reduction == pytest.approx(reductions[0], rel=1e-9)


def test_mean__is_nearly_the_analysis_of_covariance() -> None:
    """With the arm as a second regressor the slope is the one within arms: other by what the arms' means differ."""
    y, x = np.append(TREATMENT.y, CONTROL.y), np.append(TREATMENT.x, CONTROL.x)
    treated = np.append(np.ones(TREATMENT.n), np.zeros(CONTROL.n))
    fitted = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit(cov_type="HC2")
    ours = absolute(with_covariate(TREATMENT), with_covariate(CONTROL))

    assert ours.effect == pytest.approx(fitted.params[1], abs=0.02 * ours.standard_error)
    assert ours.standard_error == pytest.approx(fitted.bse[1], rel=0.05)


def test_ratio__with_tea_tastings_coefficient__is_its_adjusted_test() -> None:
    """Their θ linearises both arms at the ratio over all units, ours each arm at its own ratio.

    Ours stays the same when the treatment moves the ratio; under no effect the two meet. With one θ given to both,
    effect and standard error are the same.
    """
    both = Units(
        **{name: np.append(getattr(TREATMENT, name), getattr(CONTROL, name)) for name in ("y", "d", "x", "dx")}
    )
    y, x = linearised(both.y, both.d), linearised(both.x, both.dx)
    their_theta = float(np.cov(y, x)[0, 1] / np.var(x, ddof=1))
    treatment, baseline = ratio_with_covariate(TREATMENT), ratio_with_covariate(CONTROL)
    ours = cuped.adjusted_difference(
        treatment=treatment, baseline=baseline, difference_type="ABSOLUTE", theta=their_theta
    )
    pair = cuped.adjust(treatment=treatment, baseline=baseline)
    theirs = tea_tasting(tt.RatioOfMeans("y", "d", "x", "dx"))

    assert isinstance(ours, Difference)
    assert isinstance(pair, cuped.Adjustment)
    assert ours.effect == pytest.approx(theirs.effect_size, rel=1e-8)
    assert ours.effect / ours.standard_error == pytest.approx(theirs.statistic, rel=1e-8)
    assert pair.theta == pytest.approx(their_theta, rel=0.05)


@pytest.mark.parametrize("kind", SAMPLES)
def test_relative_standard_error__is_that_of_the_jackknife(kind: str) -> None:
    """Leaving out one unit at a time asks nothing of the formula: it only needs the estimate, with θ held fast."""
    control, treatment = arm(units=2000, seed=13), arm(units=1500, seed=14, lift=0.3)
    sample = SAMPLES[kind]
    pair = cuped.adjust(treatment=sample(treatment), baseline=sample(control))
    assert isinstance(pair, cuped.Adjustment)

    def estimate(treated: Units, base: Units) -> Difference:
        delta = cuped.adjusted_difference(
            treatment=sample(treated), baseline=sample(base), difference_type="RELATIVE", theta=pair.theta
        )
        assert isinstance(delta, Difference)
        return delta

    def without(units: Units, number: int) -> Units:
        return Units(**{name: np.delete(getattr(units, name), number) for name in ("y", "d", "x", "dx")})

    treated = np.array([estimate(without(treatment, unit), control).effect for unit in range(treatment.n)])
    base = np.array([estimate(treatment, without(control, unit)).effect for unit in range(control.n)])
    variance = sum((len(left) - 1) * np.var(left) for left in (treated, base))

    assert pair.theta > 0.05
    assert estimate(treatment, control).variance == pytest.approx(variance, rel=0.02)
