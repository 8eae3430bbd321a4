"""Which codes an arm bears, in which order, and which of them are left out when another explains the absence."""

import pytest

from stats.bayesian import BayesianTest
from stats.effects import Difference, difference
from stats.frequentist import WelchTest
from stats.results import DifferenceType, Reason, Undetermined
from stats.samples import MeanSample, Moments, ProportionSample, RatioSample, Sample
from stats.validation import MetricType, Requirements, arm_failures, mathematical_failures

WELCH, BAYES = WelchTest(), BayesianTest()


def mean(n: int, mean: float, spread: float = 1.0) -> MeanSample:
    return MeanSample(n=n, sum=n * mean, sum_squares=n * mean * mean + (n - 1) * spread * spread)


def ratio(n: int, total: float, denominator: float) -> RatioSample:
    return RatioSample(
        n=n, sum=total, sum_squares=total * total, denominator_sum=denominator, denominator_sum_squares=denominator
    )


@pytest.mark.parametrize(
    ("sample", "metric_type", "is_baseline", "test", "scale", "codes"),
    [
        (mean(49, 2), "mean", False, WELCH, "RELATIVE", ["not-enough-exposures"]),
        (mean(50, 2), "mean", False, WELCH, "RELATIVE", []),
        (ProportionSample(n=100, sum=4), "funnel", False, WELCH, "RELATIVE", ["not-enough-metric-data"]),
        (ProportionSample(n=100, sum=5), "funnel", False, WELCH, "RELATIVE", []),
        # A threshold is a proportion too, but of a mean metric: few successes are no reason of their own.
        (ProportionSample(n=100, sum=4), "mean", False, WELCH, "RELATIVE", []),
        (ratio(100, 4, 100), "retention", False, WELCH, "RELATIVE", ["not-enough-metric-data"]),
        (ratio(100, 4, 100), "ratio", False, WELCH, "RELATIVE", []),
        (ratio(100, 4, 0), "ratio", False, WELCH, "RELATIVE", ["not-enough-metric-data"]),
        (MeanSample(n=100, sum=0, sum_squares=0), "mean", True, WELCH, "RELATIVE", ["baseline-mean-is-zero"]),
        (MeanSample(n=100, sum=0, sum_squares=0), "mean", True, WELCH, "ABSOLUTE", ["baseline-mean-is-zero"]),
        (MeanSample(n=100, sum=0, sum_squares=0), "mean", False, WELCH, "RELATIVE", []),
        (
            ProportionSample(n=0, sum=0),
            "funnel",
            True,
            BAYES,
            "RELATIVE",
            ["not-enough-exposures", "not-enough-metric-data", "baseline-mean-is-zero"],
        ),
        (
            ratio(10, 0, 0),
            "ratio",
            True,
            WELCH,
            "RELATIVE",
            ["not-enough-exposures", "not-enough-metric-data", "baseline-mean-is-zero"],
        ),
        (mean(100, 0.9e-10), "mean", True, WELCH, "RELATIVE", ["baseline-not-positive"]),
        (mean(100, -0.9e-10), "mean", True, WELCH, "RELATIVE", ["baseline-not-positive"]),
        (mean(100, 0.9e-10), "mean", True, WELCH, "ABSOLUTE", []),
        (mean(100, 0.9e-10), "mean", False, WELCH, "RELATIVE", []),
        (mean(100, 1.1e-10), "mean", True, WELCH, "RELATIVE", []),
        (mean(100, -3), "mean", True, WELCH, "RELATIVE", []),
        (ProportionSample(n=100, sum=96), "funnel", True, BAYES, "RELATIVE", ["too-few-successes-or-failures"]),
        (ProportionSample(n=100, sum=95), "funnel", True, BAYES, "RELATIVE", []),
        (ProportionSample(n=100, sum=96), "funnel", True, WELCH, "RELATIVE", []),
        (ProportionSample(n=100, sum=4), "mean", False, BAYES, "RELATIVE", ["too-few-successes-or-failures"]),
        (ProportionSample(n=100, sum=100), "funnel", False, WELCH, "RELATIVE", ["zero-variance"]),
        (
            ProportionSample(n=100, sum=100),
            "funnel",
            False,
            BAYES,
            "RELATIVE",
            ["too-few-successes-or-failures", "zero-variance"],
        ),
        (ProportionSample(n=100, sum=0), "mean", False, WELCH, "RELATIVE", ["zero-variance"]),
        # The three codes every client knows come alone when they explain the absence.
        (ProportionSample(n=40, sum=40), "funnel", False, BAYES, "RELATIVE", ["not-enough-exposures"]),
        (MeanSample(n=100, sum=float("nan"), sum_squares=1), "mean", True, WELCH, "RELATIVE", ["invalid-sums"]),
        (MeanSample(n=100, sum=100, sum_squares=50), "mean", False, WELCH, "RELATIVE", ["invalid-sums"]),
        (MeanSample(n=10, sum=100, sum_squares=50), "mean", False, WELCH, "RELATIVE", ["not-enough-exposures"]),
    ],
)
def test_arm_failures__arm__bears_the_documented_codes(
    sample: Sample,
    metric_type: MetricType,
    is_baseline: bool,
    test: Requirements,
    scale: DifferenceType,
    codes: list[Reason],
) -> None:
    failures = arm_failures(
        sample=sample, metric_type=metric_type, is_baseline=is_baseline, test=test, difference_type=scale
    )

    assert list(failures) == codes


@pytest.mark.parametrize(
    ("test", "n", "codes"),
    [
        (WELCH, 4, ("not-enough-units",)),
        (WELCH, 5, ()),
        (BAYES, 1, ("not-enough-units",)),
        (BAYES, 2, ()),
        (BAYES, 0, ("not-enough-units",)),
    ],
)
def test_mathematical_failures__few_units__asks_what_the_test_needs(
    test: Requirements, n: int, codes: tuple[Reason, ...]
) -> None:
    sample = MeanSample(n=n, sum=n, sum_squares=2 * n)

    assert mathematical_failures(sample=sample, is_baseline=True, test=test, difference_type="RELATIVE") == codes


@pytest.mark.parametrize(
    ("treatment", "baseline", "scale", "reason"),
    [
        (Moments(n=1, mean=1, variance=0), Moments(n=9, mean=1, variance=1), "ABSOLUTE", "not-enough-units"),
        (Moments(n=9, mean=1, variance=1), Moments(n=9, mean=0, variance=1), "RELATIVE", "baseline-mean-is-zero"),
        (Moments(n=9, mean=1, variance=1), Moments(n=9, mean=1e-11, variance=1), "RELATIVE", "baseline-not-positive"),
        (Moments(n=9, mean=2, variance=0), Moments(n=9, mean=1, variance=0), "RELATIVE", "zero-variance"),
        (Moments(n=9, mean=2, variance=0), Moments(n=9, mean=1, variance=0), "ABSOLUTE", "zero-variance"),
        # T = 0 without variance: the baseline's variance does not reach the relative effect.
        (Moments(n=9, mean=0, variance=0), Moments(n=9, mean=1, variance=1), "RELATIVE", "zero-variance"),
        (Moments(n=9, mean=1e300, variance=1), Moments(n=9, mean=1e-9, variance=1), "RELATIVE", "invalid-sums"),
    ],
)
def test_difference__undefined_on_that_scale__names_the_reason(
    treatment: Moments, baseline: Moments, scale: DifferenceType, reason: Reason
) -> None:
    assert difference(treatment=treatment, baseline=baseline, difference_type=scale) == Undetermined(reason)


def test_difference__treatment_fell_to_zero__is_computed_on_the_absolute_scale() -> None:
    delta = difference(
        treatment=Moments(n=9, mean=0, variance=0),
        baseline=Moments(n=9, mean=1, variance=9),
        difference_type="ABSOLUTE",
    )

    assert isinstance(delta, Difference)
    assert (delta.effect, delta.variance) == (-1.0, 1.0)
    assert delta.degrees_of_freedom == pytest.approx(8.0)
