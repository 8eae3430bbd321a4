"""Corrections for many tests, sizes of arms and plans, against scipy, statsmodels and tea-tasting."""

from math import sqrt

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from stats import multiplicity, power, srm

FAMILIES = {
    "one": [0.03],
    "ties and ends": [0.0, 0.01, 0.01, 0.04, 0.5, 1.0],
    "random": np.random.default_rng(1).uniform(size=40).tolist(),
    "small ones": (np.random.default_rng(2).uniform(size=25) ** 6).tolist(),
}

families = pytest.mark.parametrize("p_values", FAMILIES.values(), ids=FAMILIES.keys())


@families
def test_holm__is_statsmodels_holm(p_values: list[float]) -> None:
    assert multiplicity.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-12)


@families
def test_benjamini_hochberg__is_statsmodels_and_scipys(p_values: list[float]) -> None:
    ours = multiplicity.benjamini_hochberg(p_values)

    assert ours == pytest.approx(multipletests(p_values, method="fdr_bh")[1], rel=1e-12)
    assert ours == pytest.approx(scipy_stats.false_discovery_control(p_values), rel=1e-12)


@pytest.mark.parametrize(
    ("observed", "weights"),
    [
        ((510, 490), (50, 50)),
        ((1529, 1471), (50, 50)),
        ((800, 150), (80, 20)),
        ((340, 360, 300), (34, 33, 33)),
        ((100, 0, 120, 95), (25, 25, 25, 25)),
    ],
)
def test_sample_ratio__is_scipys_chi_square(observed: tuple[int, ...], weights: tuple[int, ...]) -> None:
    arms = [f"arm{number}" for number in range(len(observed))]
    ours = srm.chi_square_test(
        observed=dict(zip(arms, observed, strict=True)), weights=dict(zip(arms, map(float, weights), strict=True))
    )
    expected = np.array(weights) * sum(observed) / sum(weights)
    theirs = scipy_stats.chisquare(observed, expected)

    assert (ours.chi_square, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-10)


def test_sample_ratio__two_arms__is_tea_tastings_normal_test() -> None:
    """Without the correction for continuity the square of their z is our χ²."""
    table = pa.table({"variant": ["control"] * 5_200 + ["test"] * 4_900})
    metric = tt.SampleRatio(method="norm", correction=False)
    theirs = tt.Experiment({"ratio": metric}, variant="variant").analyze(table, control="control")["ratio"]
    ours = srm.chi_square_test(observed={"control": 5_200, "test": 4_900}, weights={"control": 50, "test": 50})

    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize(("n_treatment", "n_baseline"), [(1000, 1000), (500, 4000)])
@pytest.mark.parametrize("effect", [-0.2, 0.02, 0.1])
def test_power__is_statsmodels_with_the_relative_standard_error(
    effect: float, n_treatment: int, n_baseline: int
) -> None:
    """Theirs measures the effect in standard deviations of a difference whose noise the effect does not change.

    Ours is planned on the relative scale, where a larger treatment mean makes the quotient noisier: the baseline's
    part of the variance carries (1 + e)². Given that standard error, both say the same.
    """
    mean, variance = 2.5, 9.0
    ours = power.power(mean=mean, variance=variance, n_treatment=n_treatment, n_baseline=n_baseline, effect=effect)
    error = sqrt(variance / mean**2 * (1 / n_treatment + (1 + effect) ** 2 / n_baseline))
    in_deviations = effect / error * sqrt(1 / n_treatment + 1 / n_baseline)
    theirs = NormalIndPower().power(in_deviations, n_treatment, 0.05, ratio=n_baseline / n_treatment)

    assert ours == pytest.approx(theirs, rel=1e-9)


def test_power__small_effect__is_statsmodels_textbook_one() -> None:
    ours = power.power(mean=2.5, variance=9.0, n_treatment=200_000, n_baseline=200_000, effect=0.01)
    theirs = NormalIndPower().power(0.01 * 2.5 / 3.0, 200_000, 0.05)

    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize("n_per_arm", [300, 5_000, 10**6])
def test_minimum_detectable_effect__is_the_root_of_the_power(n_per_arm: int) -> None:
    """The closed form leaves out the chance to be significant on the wrong side, which is below 1e-6 here."""

    def lacking(effect: float) -> float:
        found = power.power(mean=0.2, variance=0.16, n_treatment=n_per_arm, n_baseline=n_per_arm, effect=effect)
        assert found is not None
        return found - 0.8

    root = optimize.brentq(lacking, 1e-6, 5.0, xtol=1e-13)
    ours = power.minimum_detectable_effect(mean=0.2, variance=0.16, n_per_arm=n_per_arm)

    assert ours == pytest.approx(root, rel=1e-4)


def test_recommended_size__is_statsmodels_with_lehrs_rounded_factor() -> None:
    """Lehr rounds 2·(z(0.975) + z(0.8))² = 15.70 up to 16, so that the plan is 2 % larger than it has to be."""
    theirs = 2 * NormalIndPower().solve_power(effect_size=0.2 * 4 / 3, power=0.8, alpha=0.05)
    ours = power.recommended_sample_size(
        metric_type="ratio", value=4.0, variance=9.0, minimum_detectable_effect=20, number_of_variants=2
    )

    assert ours == pytest.approx(theirs * 16 / 15.698, rel=2e-3)
