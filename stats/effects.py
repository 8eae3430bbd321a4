"""How far a treatment is from the baseline, and how sure of it we are: the effect and its variance on either scale."""

from dataclasses import dataclass
from math import sqrt

from stats.results import DifferenceType, Undetermined, all_finite
from stats.samples import Moments

SMALLEST_RELATIVE_BASELINE = 1e-10
"""Below this the baseline's absolute value is no unit of measure any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A treatment against the baseline, ready for a test.

    `effect` and `variance` (above 0) are on the scale `difference_type` names. `degrees_of_freedom` are Welch's,
    `units` those of both arms, `baseline_size` is |C| of the unadjusted baseline, in units of the metric.
    `variance_reduction` belongs to the treatment arm and is None without a covariate.
    """

    effect: float
    variance: float
    degrees_of_freedom: float
    units: int
    baseline_size: float
    difference_type: DifferenceType
    variance_reduction: float | None = None

    @property
    def standard_error(self) -> float:
        """Square root of `variance`."""
        return sqrt(self.variance)


def relative_effect(*, treatment_mean: float, baseline_mean: float, scale_mean: float | None = None) -> float:
    """(T - C)/|C|: positive is up, also from a negative baseline. 0.05 is +5 %.

    `scale_mean` replaces C in the denominator only (CUPED: the unadjusted baseline). The caller rules out zero.

    >>> relative_effect(treatment_mean=-5, baseline_mean=-10)
    0.5
    """
    return (treatment_mean - baseline_mean) / abs(baseline_mean if scale_mean is None else scale_mean)


def absolute_variance(*, treatment: Moments, baseline: Moments) -> float:
    """Variance of T - C for independent arms: vT/nT + vC/nC.

    >>> absolute_variance(treatment=Moments(n=4, mean=1, variance=2), baseline=Moments(n=2, mean=1, variance=1))
    1.0
    """
    return treatment.estimate_variance + baseline.estimate_variance


def relative_variance(*, treatment: Moments, baseline: Moments) -> float:
    """Variance of (T - C)/|C| by the delta method: vT/(nT·C²) + T²·vC/(nC·C⁴).

    Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", for independent arms.
    The caller rules out a baseline mean of zero.

    >>> relative_variance(treatment=Moments(n=10, mean=2, variance=10), baseline=Moments(n=10, mean=1, variance=10))
    5.0
    """
    quotient = treatment.mean / baseline.mean
    # T²/C⁴ as (T/C)²/C, twice divided: the fourth power would leave the range of doubles first.
    weighted = treatment.estimate_variance + quotient * quotient * baseline.estimate_variance
    return weighted / baseline.mean / baseline.mean


def welch_degrees_of_freedom(*, treatment: Moments, baseline: Moments) -> float:
    """(a + b)²/(a²/(nT - 1) + b²/(nC - 1)), a and b the variances of the arms' estimates, not both 0.

    Welch 1947, "The generalization of 'Student's' problem". Written with the arms' shares of the variance, so that
    tiny and huge variances answer alike. Both arms need two units.

    >>> arm = Moments(n=6, mean=0, variance=3)
    >>> welch_degrees_of_freedom(treatment=arm, baseline=arm)
    10.0
    """
    share = treatment.estimate_variance / (treatment.estimate_variance + baseline.estimate_variance)
    return 1 / (share * share / (treatment.n - 1) + (1 - share) * (1 - share) / (baseline.n - 1))


def difference(
    *, treatment: Moments, baseline: Moments, difference_type: DifferenceType
) -> "Difference | Undetermined":
    """The treatment against the baseline on the selected scale.

    Undetermined: `not-enough-units` below two units in an arm; on the relative scale `baseline-mean-is-zero` and
    `baseline-not-positive` (|C| < 1e-10); `zero-variance`; `invalid-sums` where doubles cannot hold the answer.

    >>> arm = Moments(n=50, mean=2.0, variance=1.0)
    >>> difference(treatment=Moments(n=50, mean=3.0, variance=1.0), baseline=arm, difference_type="RELATIVE").effect
    0.5
    """
    failure = incomparable(treatment=treatment, baseline=baseline, difference_type=difference_type)
    if failure is not None:
        return failure
    if difference_type == "RELATIVE":
        effect = relative_effect(treatment_mean=treatment.mean, baseline_mean=baseline.mean)
        variance = relative_variance(treatment=treatment, baseline=baseline)
    else:
        effect = treatment.mean - baseline.mean
        variance = absolute_variance(treatment=treatment, baseline=baseline)
    return settle(
        effect=effect,
        variance=variance,
        treatment=treatment,
        baseline=baseline,
        baseline_size=abs(baseline.mean),
        difference_type=difference_type,
        variance_reduction=None,
    )


def incomparable(*, treatment: Moments, baseline: Moments, difference_type: DifferenceType) -> Undetermined | None:
    """Why these two cannot be compared on that scale, before any variance is looked at; None: they can.

    `not-enough-units` below two units in an arm; on the relative scale `baseline-mean-is-zero` and
    `baseline-not-positive` (|C| < 1e-10).
    """
    if min(treatment.n, baseline.n) < 2:
        return Undetermined("not-enough-units")
    if difference_type == "RELATIVE":
        if baseline.mean == 0:
            return Undetermined("baseline-mean-is-zero")
        if abs(baseline.mean) < SMALLEST_RELATIVE_BASELINE:
            return Undetermined("baseline-not-positive")
    return None


def settle(
    *,
    effect: float,
    variance: float,
    treatment: Moments,
    baseline: Moments,
    baseline_size: float,
    difference_type: DifferenceType,
    variance_reduction: float | None,
) -> Difference | Undetermined:
    """A `Difference` from its parts, or the reason why they are none: `zero-variance`, `invalid-sums`.

    `treatment` and `baseline` (adjusted, with a covariate) give the degrees of freedom.
    """
    if not all_finite(effect, variance):
        return Undetermined("invalid-sums")
    # The absolute variance is asked too: the relative one can underflow on its own, and Welch divides by it.
    if variance <= 0 or absolute_variance(treatment=treatment, baseline=baseline) <= 0:
        return Undetermined("zero-variance")
    return Difference(
        effect=effect,
        variance=variance,
        degrees_of_freedom=welch_degrees_of_freedom(treatment=treatment, baseline=baseline),
        units=treatment.n + baseline.n,
        baseline_size=baseline_size,
        difference_type=difference_type,
        variance_reduction=variance_reduction,
    )
