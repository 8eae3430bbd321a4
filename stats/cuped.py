"""CUPED: less variance, by taking out of an outcome what the units' past already told.

Deng, Xu, Kohavi and Walker 2013, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data"; ratios linearised as in Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric
Analytics". θ belongs to a pair of arms, so a baseline is adjusted anew for every treatment.
"""

from dataclasses import dataclass, replace

from stats.effects import Difference, absolute_variance, difference, incomparable, settle
from stats.results import DifferenceType, InvalidParameter, Undetermined, all_finite
from stats.samples import Covariate, Moments, RatioSample, Sample, centred_product

SMALLEST_COVARIATE_VARIANCE = 1e-10
SMALLEST_ADJUSTED_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Linear:
    """One arm as a value y and a covariate x per unit: the moments of both and their covariance (n - 1).

    For a ratio, `outcome` and `covariate` hold the ratios and the variances of their linearised values.
    """

    outcome: Moments
    covariate: Moments
    covariance: float

    def adjusted_mean(self, theta: float) -> float:
        """ȳ - θx̄."""
        return self.outcome.mean - theta * self.covariate.mean

    def adjusted_variance(self, theta: float) -> float:
        """v' = vY + θ²vX - 2θ·cov per unit, at least 1e-10; the outcome's own for θ = 0."""
        if theta == 0:
            return self.outcome.variance
        variance = self.outcome.variance + theta * (theta * self.covariate.variance - 2 * self.covariance)
        return max(variance, SMALLEST_ADJUSTED_VARIANCE)

    def adjusted(self, theta: float) -> Moments:
        """The arm's moments without what the covariate explains; the outcome itself for θ = 0."""
        if theta == 0:
            return self.outcome
        return Moments(n=self.outcome.n, mean=self.adjusted_mean(theta), variance=self.adjusted_variance(theta))

    def variance_reduction(self, theta: float) -> float | None:
        """1 - adjusted/unadjusted variance; None for an outcome that does not vary."""
        if self.outcome.variance == 0:
            return None
        return 1 - self.adjusted_variance(theta) / self.outcome.variance


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A treatment and its baseline with the coefficient that adjusts them both; `theta` 0 leaves them as they are."""

    theta: float
    treatment: Linear
    baseline: Linear


def linear(sample: Sample) -> Linear | Undetermined:
    """An arm and its covariate.

    InvalidParameter for a sample without covariate; Undetermined with the reasons of `sample.moments()`. A ratio
    whose lookback denominator sums to 0 has a covariate of 0 throughout.

    >>> from stats.samples import MeanSample
    >>> linear(MeanSample.from_values([1, 2, 3], covariate=[2, 4, 6])).covariance
    2.0
    """
    outcome = sample.moments()
    if isinstance(outcome, Undetermined):
        return outcome
    if isinstance(sample, RatioSample):
        return _linear_ratio(sample=sample, outcome=outcome)
    if sample.covariate is None:
        raise InvalidParameter("The sample carries no covariate.")
    n, x = sample.n, sample.covariate
    variance = centred_product(n=n, product=x.sum_squares, left=x.sum, right=x.sum)
    return Linear(
        outcome=outcome,
        covariate=Moments(n=n, mean=x.sum / n, variance=max(variance, 0.0)),
        covariance=centred_product(n=n, product=x.product, left=sample.sum, right=x.sum),
    )


def adjust(*, treatment: Sample, baseline: Sample, theta: float | None = None) -> Adjustment | Undetermined:
    """The pair with its θ; a given `theta` is used instead of the pair's own.

    θ of means and proportions: Cov(Y, X)/Var(X) over the units of both arms together, from added sums. θ of ratios:
    the sum of the arms' linearised covariances over the sum of their covariate variances. 0 where that variance is
    below 1e-10, or an arm's lookback denominator sums to 0.
    InvalidParameter unless both samples are of one kind and carry a covariate; Undetermined with the reasons of
    `sample.moments()`, and `invalid-sums` where θ would not be finite.

    >>> from stats.samples import MeanSample
    >>> arm = MeanSample.from_values([1.0, 2.0, 3.0, 5.0], covariate=[2.0, 4.0, 6.0, 10.0])
    >>> adjust(treatment=arm, baseline=arm).theta
    0.5
    """
    if type(treatment) is not type(baseline):
        raise InvalidParameter("The arms of one metric are samples of one kind.")
    treated, base = linear(treatment), linear(baseline)
    if isinstance(treated, Undetermined):
        return treated
    if isinstance(base, Undetermined):
        return base
    if theta is None:
        if isinstance(treatment, RatioSample) and isinstance(baseline, RatioSample):
            theta = _ratio_theta(samples=(treatment, baseline), arms=(treated, base))
        else:
            theta = _pooled_theta(treatment, baseline)
    if not all_finite(theta):
        return Undetermined("invalid-sums")
    return Adjustment(theta=theta, treatment=treated, baseline=base)


def adjusted_difference(
    *, treatment: Sample, baseline: Sample, difference_type: DifferenceType, theta: float | None = None
) -> Difference | Undetermined:
    """The adjusted treatment against the adjusted baseline; with θ = 0 exactly the unadjusted difference.

    Absolute: δ = T' - C', V = v'T/nT + v'C/nC. Relative: the same δ divided by the UNADJUSTED |C|, and

        V_T = (vY_T + θ²·vX_T - 2θ·cov_T) / (nT·C²)
        V_C = (q²·vY_C - 2q·θ·cov_C + θ²·vX_C) / (nC·C²)

    with q = T/C, unadjusted, for means and proportions and q = (C + δabs)/C for ratios. That is the delta method on
    (T' - C')/|C|, in which the baseline's outcome stands both above and below the line and its covariate only above;
    adding a constant to the covariate therefore changes nothing. Degrees of freedom: Welch, adjusted variances.

    Errors as in `adjust`; Undetermined with the reasons of `adjust` and of `stats.effects.difference`.
    """
    adjustment = adjust(treatment=treatment, baseline=baseline, theta=theta)
    if isinstance(adjustment, Undetermined):
        return adjustment
    theta, treated, base = adjustment.theta, adjustment.treatment, adjustment.baseline
    if theta == 0:
        plain = difference(treatment=treated.outcome, baseline=base.outcome, difference_type=difference_type)
        if isinstance(plain, Undetermined):
            return plain
        return replace(plain, variance_reduction=treated.variance_reduction(theta))
    failure = incomparable(treatment=treated.outcome, baseline=base.outcome, difference_type=difference_type)
    if failure is not None:
        return failure

    adjusted_treatment, adjusted_baseline = treated.adjusted(theta), base.adjusted(theta)
    effect = adjusted_treatment.mean - adjusted_baseline.mean
    variance = absolute_variance(treatment=adjusted_treatment, baseline=adjusted_baseline)
    level = base.outcome.mean
    if difference_type == "RELATIVE":
        quotient = (level + effect if isinstance(treatment, RatioSample) else treated.outcome.mean) / level
        variance_at_baseline = (
            quotient * (quotient * base.outcome.variance - 2 * theta * base.covariance)
            + theta * theta * base.covariate.variance
        )
        # Never negative but for rounding: it is the variance of q·y - θ·x.
        weighted = adjusted_treatment.estimate_variance + max(variance_at_baseline, 0.0) / base.outcome.n
        effect, variance = effect / abs(level), weighted / level / level
    return settle(
        effect=effect,
        variance=variance,
        treatment=adjusted_treatment,
        baseline=adjusted_baseline,
        baseline_size=abs(level),
        difference_type=difference_type,
        variance_reduction=treated.variance_reduction(theta),
    )


def _pooled_theta(treatment: Sample, baseline: Sample) -> float:
    n = treatment.n + baseline.n
    y, x, xx, xy = treatment.sum + baseline.sum, 0.0, 0.0, 0.0
    for sample in (treatment, baseline):
        if isinstance(sample.covariate, Covariate):
            x += sample.covariate.sum
            xx += sample.covariate.sum_squares
            xy += sample.covariate.product
    variance = centred_product(n=n, product=xx, left=x, right=x)
    if variance < SMALLEST_COVARIATE_VARIANCE:
        return 0.0
    return centred_product(n=n, product=xy, left=y, right=x) / variance


def _ratio_theta(*, samples: tuple[RatioSample, RatioSample], arms: tuple[Linear, Linear]) -> float:
    if any(sample.covariate is not None and sample.covariate.denominator_sum == 0 for sample in samples):
        return 0.0
    variance = arms[0].covariate.variance + arms[1].covariate.variance
    if variance < SMALLEST_COVARIATE_VARIANCE:
        return 0.0
    return (arms[0].covariance + arms[1].covariance) / variance


def _linear_ratio(*, sample: RatioSample, outcome: Moments) -> Linear:
    """y = (m - R·d)/D̄ and x = (mx - Rx·dx)/D̄x: their variances are the ratios', their covariance the arm's."""
    x = sample.covariate
    if x is None:
        raise InvalidParameter("The sample carries no covariate.")
    n = sample.n
    mean_denominator, mean_covariate_denominator = sample.denominator_sum / n, x.denominator_sum / n
    if mean_covariate_denominator == 0:
        return Linear(outcome=outcome, covariate=Moments(n=n, mean=0.0, variance=0.0), covariance=0.0)
    past = RatioSample(
        n=n,
        sum=x.sum,
        sum_squares=x.sum_squares,
        denominator_sum=x.denominator_sum,
        denominator_sum_squares=x.denominator_sum_squares,
        numerator_denominator_sum_product=x.covariate_numerator_covariate_denominator,
    )
    ratio, past_ratio = outcome.mean, x.sum / x.denominator_sum
    numerators = centred_product(n=n, product=x.numerator_covariate_numerator, left=sample.sum, right=x.sum)
    numerator_by_past_denominator = centred_product(
        n=n, product=x.numerator_covariate_denominator, left=sample.sum, right=x.denominator_sum
    )
    denominator_by_past_numerator = centred_product(
        n=n, product=x.denominator_covariate_numerator, left=sample.denominator_sum, right=x.sum
    )
    denominators = centred_product(
        n=n, product=x.denominator_covariate_denominator, left=sample.denominator_sum, right=x.denominator_sum
    )
    covariance = (
        numerators
        - past_ratio * numerator_by_past_denominator
        - ratio * denominator_by_past_numerator
        + ratio * past_ratio * denominators
    )
    return Linear(
        outcome=outcome,
        covariate=Moments(n=n, mean=past_ratio, variance=past.linearised_variance()),
        covariance=covariance / mean_denominator / mean_covariate_denominator,
    )
