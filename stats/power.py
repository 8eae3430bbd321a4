"""Planning: the power a sample has, the effect it can detect, and how long an experiment has to run for it.

Power and detectable effect are those of the two-sided test on the relative scale with the normal quantile in place
of Student's. What cannot be told is None: such a figure belongs to a plan, and plans name no reasons.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal, TypeAlias

from stats.distributions import normal_cdf, normal_critical
from stats.results import InvalidParameter, all_finite, require_open_unit_interval

SizedMetric: TypeAlias = Literal["funnel", "mean_count", "mean_sum_or_avg", "ratio", "retention"]

PLANNED_ALPHA = 0.05
PLANNED_POWER = 0.8
WEEKS = range(1, 13)

LEHR_FACTOR = 16
_MOST_VARIANTS = 10**300
"""2·(z(0.975) + z(0.8))² = 15.7, rounded up: Lehr 1992, "Sixteen S-squared over D-squared"."""


@dataclass(frozen=True, slots=True)
class BaselineStats:
    """An arm's sums as results name them; a sum that is not known is 0, `denominator_sum` None."""

    number_of_samples: float
    sum: float
    sum_squares: float = 0.0
    denominator_sum: float | None = None
    denominator_sum_squares: float = 0.0
    numerator_denominator_sum_product: float = 0.0
    step_counts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """After `week` weeks `sample_size` units over all variants detect this effect, in percent, with power 0.8."""

    week: int
    sample_size: float
    minimum_detectable_effect: float | None


@dataclass(frozen=True, slots=True)
class RunningTime:
    """A plan. `variance` is None for a funnel unless it was given; the size counts units over all variants."""

    baseline_value: float | None
    variance: float | None
    recommended_sample_size: int | None
    recommended_running_time_days: int | None
    power_at_recommended: float | None
    mde_by_week: tuple[DetectableEffect, ...] | None


def power(
    *, mean: float, variance: float, n_treatment: float, n_baseline: float, effect: float, alpha: float = PLANNED_ALPHA
) -> float | None:
    """Probability that a true relative `effect` (0.05 = +5 %) is found significant, on either side.

    With μ and σ² the baseline's mean and variance per unit and V = σ²/μ²·(1/nT + (1 + e)²/nC):
    Φ(e/√V - z(1-α/2)) + Φ(-e/√V - z(1-α/2)). None for μ = 0, a negative σ², no units in an arm, V = 0, or a figure
    beyond doubles. InvalidParameter for alpha outside (0, 1).

    >>> round(power(mean=0.1, variance=0.09, n_treatment=1000, n_baseline=1000, effect=0.3), 4)
    0.4873
    """
    require_open_unit_interval(name="alpha", value=alpha)
    if mean == 0 or not (variance >= 0 and n_treatment > 0 and n_baseline > 0):
        return None
    squared_error = variance / mean / mean * (1 / n_treatment + (1 + effect) * (1 + effect) / n_baseline)
    if not all_finite(squared_error) or squared_error <= 0:
        return None
    distance, critical = effect / sqrt(squared_error), normal_critical(alpha / 2)
    if not all_finite(distance):
        return None
    return normal_cdf(distance - critical) + normal_cdf(-distance - critical)


def minimum_detectable_effect(
    *,
    mean: float,
    variance: float,
    n_per_arm: float,
    power: float = PLANNED_POWER,
    alpha: float = PLANNED_ALPHA,
) -> float | None:
    """The smallest relative increase that arms of `n_per_arm` units find significant with the given power.

    c = (z(1-α/2) + z(power))²·σ²/(nμ²); x/|μ| - 1 for the larger root x of (1-c)x² - 2|μ|x + (1-c)μ² = 0. None for
    c >= 1 (no effect is large enough), μ = 0, a negative σ² and no units. InvalidParameter for alpha or power
    outside (0, 1).

    >>> round(minimum_detectable_effect(mean=0.1, variance=0.09, n_per_arm=2000), 4)
    0.3097
    """
    require_open_unit_interval(name="alpha", value=alpha)
    require_open_unit_interval(name="power", value=power)
    if mean == 0 or not (variance >= 0 and n_per_arm > 0):
        return None
    quantiles = normal_critical(alpha / 2) + normal_critical(1 - power)
    c = quantiles * quantiles * variance / mean / mean / n_per_arm
    if not c < 1:
        return None
    # (1 + sqrt(1 - (1-c)²))/(1-c) - 1 without the subtractions that would cost its digits.
    return (c + sqrt(c * (2 - c))) / (1 - c)


def baseline_value(*, metric_type: SizedMetric, stats: BaselineStats) -> float | None:
    """The metric's value in one arm: sum per unit, share of the last step (or `sum`), or numerator by denominator.

    None without units; for ratio and retention also without a denominator.

    >>> baseline_value(metric_type="funnel", stats=BaselineStats(number_of_samples=200, sum=0, step_counts=(90, 40)))
    0.2
    """
    if stats.number_of_samples == 0:
        return None
    if metric_type in ("ratio", "retention"):
        return stats.sum / stats.denominator_sum if stats.denominator_sum else None
    if metric_type == "funnel" and stats.step_counts:
        return stats.step_counts[-1] / stats.number_of_samples
    return stats.sum / stats.number_of_samples


def baseline_variance(
    *, metric_type: SizedMetric, value: float | None, stats: BaselineStats | None = None
) -> float | None:
    """Variance per unit that a plan assumes: 2b for counts, b²/4 for sums and averages, from the sums for ratios.

    Ratio and retention: Var(M)/D² + M²·Var(D)/D⁴ - 2M·Cov/D³ with population moments (divided by n). None for
    funnels, whose value b says all, and where the value or the sums are missing.

    >>> baseline_variance(metric_type="mean_count", value=4.0), baseline_variance(metric_type="funnel", value=0.1)
    (8.0, None)
    """
    if metric_type == "mean_count":
        return None if value is None else 2 * value
    if metric_type == "mean_sum_or_avg":
        return None if value is None else value * value / 4
    if metric_type == "funnel" or stats is None or not stats.number_of_samples or not stats.denominator_sum:
        return None
    n = stats.number_of_samples
    numerator, denominator = stats.sum / n, stats.denominator_sum / n
    if denominator == 0:
        return None
    numerator_variance = stats.sum_squares / n - numerator * numerator
    denominator_variance = stats.denominator_sum_squares / n - denominator * denominator
    covariance = stats.numerator_denominator_sum_product / n - numerator * denominator
    ratio = numerator / denominator
    linearised = numerator_variance + ratio * (ratio * denominator_variance - 2 * covariance)
    return linearised / denominator / denominator


def variance_per_unit(*, metric_type: SizedMetric, value: float | None, variance: float | None) -> float | None:
    """What sizing squares: b(1-b) for a funnel with value b, the given variance for all others; None if unknown."""
    if metric_type != "funnel":
        return variance
    return None if value is None else value * (1 - value)


def recommended_sample_size(
    *,
    metric_type: SizedMetric,
    value: float | None,
    variance: float | None,
    minimum_detectable_effect: float,
    number_of_variants: int,
) -> int | None:
    """Units over all variants: ceil(16·x/d²·variants), x as in `variance_per_unit`, d the effect in the metric's unit.

    `minimum_detectable_effect` in percent of `value`. None where value or x is unknown, x < 0, d² = 0 or the size is
    beyond doubles.

    >>> recommended_sample_size(metric_type="mean_count", value=4, variance=8, minimum_detectable_effect=5,
    ...                         number_of_variants=2)
    6400
    """
    per_unit = variance_per_unit(metric_type=metric_type, value=value, variance=variance)
    if value is None or per_unit is None or per_unit < 0:
        return None
    detectable = minimum_detectable_effect / 100 * value
    if detectable * detectable == 0:
        return None
    size = LEHR_FACTOR * per_unit / (detectable * detectable) * number_of_variants
    return ceil(size) if all_finite(size) else None


def recommended_days(*, sample_size: int | None, units_per_day: float | None) -> int | None:
    """Whole days until `sample_size` units have come; None when either is None or 0.

    >>> recommended_days(sample_size=6400, units_per_day=100)
    64
    """
    if not sample_size or not units_per_day:
        return None
    days = sample_size / units_per_day
    return ceil(days) if all_finite(days) else None


def detectable_by_week(
    *, value: float, per_unit_variance: float, units_per_day: float, number_of_variants: int
) -> tuple[DetectableEffect, ...]:
    """What 1 to 12 weeks of traffic can detect, at alpha 0.05 with power 0.8.

    >>> detectable_by_week(value=0.1, per_unit_variance=0.09, units_per_day=100, number_of_variants=2)[0].sample_size
    700
    """
    weeks = []
    for week in WEEKS:
        sample_size = units_per_day * 7 * week
        effect = minimum_detectable_effect(
            mean=value, variance=per_unit_variance, n_per_arm=sample_size / number_of_variants
        )
        weeks.append(
            DetectableEffect(
                week=week,
                sample_size=sample_size,
                minimum_detectable_effect=None if effect is None else 100 * effect,
            )
        )
    return tuple(weeks)


def running_time(
    *,
    metric_type: SizedMetric,
    minimum_detectable_effect: float,
    number_of_variants: int = 2,
    units_per_day: float | None = None,
    value: float | None = None,
    variance: float | None = None,
    stats: BaselineStats | None = None,
) -> RunningTime:
    """How many units a metric needs to show an effect of `minimum_detectable_effect` percent, and for how long.

    `value` and `variance` win over what `stats` says; one of `value` and `stats` should be given, or nothing can be
    told. What is not finite is None. InvalidParameter for an effect not above 0 or
    fewer than two variants.

    >>> plan = running_time(metric_type="funnel", minimum_detectable_effect=50, value=0.1, units_per_day=96)
    >>> plan.recommended_sample_size, plan.recommended_running_time_days
    (1152, 12)
    """
    if not minimum_detectable_effect > 0:
        raise InvalidParameter("The effect to detect must be greater than 0.")
    if number_of_variants < 2:
        raise InvalidParameter("An experiment has at least two variants.")
    # An integer of any length does not overflow in a comparison, but does beside a float.
    number_of_variants = min(number_of_variants, _MOST_VARIANTS)
    if value is None and stats is not None:
        value = baseline_value(metric_type=metric_type, stats=stats)
    if variance is None:
        variance = baseline_variance(metric_type=metric_type, value=value, stats=stats)
    value = value if value is not None and all_finite(value) else None
    variance = variance if variance is not None and all_finite(variance) else None
    per_unit = variance_per_unit(metric_type=metric_type, value=value, variance=variance)
    size = recommended_sample_size(
        metric_type=metric_type,
        value=value,
        variance=variance,
        minimum_detectable_effect=minimum_detectable_effect,
        number_of_variants=number_of_variants,
    )
    power_at_recommended = None
    mde_by_week = None
    if value is not None and per_unit is not None:
        if size is not None:
            power_at_recommended = power(
                mean=value,
                variance=per_unit,
                n_treatment=size / number_of_variants,
                n_baseline=size / number_of_variants,
                effect=minimum_detectable_effect / 100,
            )
        if units_per_day:
            mde_by_week = detectable_by_week(
                value=value,
                per_unit_variance=per_unit,
                units_per_day=units_per_day,
                number_of_variants=number_of_variants,
            )
    return RunningTime(
        baseline_value=value,
        variance=variance,
        recommended_sample_size=size,
        recommended_running_time_days=recommended_days(sample_size=size, units_per_day=units_per_day),
        power_at_recommended=power_at_recommended,
        mde_by_week=mde_by_week,
    )
