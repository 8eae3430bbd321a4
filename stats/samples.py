"""What an experiment knows of an arm: counts and sums, and the moments that follow from them.

An arm's sample is one of three shapes. Each may carry the sums of a covariate, the same aggregate over a period
before the unit's exposure (`stats.cuped`). Sums come from the event store; numbers that no store can have
summed are found here and answered with `Undetermined("invalid-sums")`.
"""

from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from stats.results import Undetermined, all_finite

LARGEST_SUM = 1e15
LARGEST_SUM_OF_SQUARES = 1e30


@dataclass(frozen=True, slots=True)
class Moments:
    """Units, estimate and variance per unit: all that inference on one arm needs."""

    n: int
    mean: float
    variance: float

    @property
    def estimate_variance(self) -> float:
        """Variance of the estimate, variance / n."""
        return self.variance / self.n

    @property
    def standard_error(self) -> float:
        """Square root of `estimate_variance`."""
        return sqrt(self.estimate_variance)


@dataclass(frozen=True, slots=True)
class Covariate:
    """Sums of the lookback value x of a mean or a proportion; `product` sums x times the post value."""

    sum: float
    sum_squares: float
    product: float


@dataclass(frozen=True, slots=True)
class RatioCovariate:
    """Sums of a ratio's lookback numerator and denominator, and of the products that linearisation needs."""

    sum: float
    sum_squares: float
    denominator_sum: float
    denominator_sum_squares: float
    numerator_covariate_numerator: float
    denominator_covariate_denominator: float
    covariate_numerator_covariate_denominator: float
    numerator_covariate_denominator: float
    denominator_covariate_numerator: float


@dataclass(frozen=True, slots=True)
class MeanSample:
    """One value per unit: `n` units, the sum of their values and of the squares."""

    n: int
    sum: float
    sum_squares: float
    covariate: Covariate | None = None

    @classmethod
    def from_values(cls, values: ArrayLike, *, covariate: ArrayLike | None = None) -> "MeanSample":
        """Sum up one value per unit (1-d), with the units' covariate values in the same order.

        >>> MeanSample.from_values([1, 2, 3, 4, 5]).moments()
        Moments(n=5, mean=3.0, variance=2.5)
        """
        y = np.asarray(values, dtype=float)
        return cls(n=y.size, sum=_dot(y), sum_squares=_dot(y, y), covariate=_covariate(y, covariate))

    def moments(self) -> Moments | Undetermined:
        """Mean S/n and variance (Q - S²/n)/(n-1), which is 0 for a single unit and never below 0.

        Undetermined: `not-enough-units` for n = 0, `invalid-sums` for sums that cannot be.

        >>> MeanSample(n=5, sum=15, sum_squares=40).moments()
        Undetermined(reason='invalid-sums')
        """
        failure = _units_or_sums_failure(self)
        if failure is not None:
            return failure
        variance = centred_product(n=self.n, product=self.sum_squares, left=self.sum, right=self.sum)
        return _finite(n=self.n, mean=self.sum / self.n, variance=max(variance, 0.0))


@dataclass(frozen=True, slots=True)
class ProportionSample:
    """A yes or no per unit: `n` units, of which `sum` said yes."""

    n: int
    sum: float
    covariate: Covariate | None = None

    @property
    def sum_squares(self) -> float:
        """Equal to `sum`: the values are 0 and 1."""
        return self.sum

    @classmethod
    def from_values(cls, values: ArrayLike, *, covariate: ArrayLike | None = None) -> "ProportionSample":
        """Sum up one 0 or 1 per unit (1-d), with the units' covariate values in the same order.

        >>> ProportionSample.from_values([0, 1, 0, 0])
        ProportionSample(n=4, sum=1.0, covariate=None)
        """
        y = np.asarray(values, dtype=float)
        return cls(n=y.size, sum=_dot(y), covariate=_covariate(y, covariate))

    def moments(self) -> Moments | Undetermined:
        """p = S/n and the binomial variance p(1-p).

        Undetermined: `not-enough-units` for n = 0, `invalid-sums` for more successes than units or fewer than none.

        >>> ProportionSample(n=100, sum=25).moments()
        Moments(n=100, mean=0.25, variance=0.1875)
        """
        failure = _units_or_sums_failure(self)
        if failure is not None:
            return failure
        share = self.sum / self.n
        # The check on sums lets S exceed n by a rounding error.
        return Moments(n=self.n, mean=share, variance=max(share * (1 - share), 0.0))


@dataclass(frozen=True, slots=True)
class RatioSample:
    """A numerator m and a denominator d per unit; the estimate is the ratio of their sums.

    `sum` and `sum_squares` are the numerator's. Retention is one of these: m = 1 for a retained unit, d = 1 for all.
    """

    n: int
    sum: float
    sum_squares: float
    denominator_sum: float
    denominator_sum_squares: float = 0.0
    numerator_denominator_sum_product: float = 0.0
    covariate: RatioCovariate | None = None

    @classmethod
    def from_values(
        cls,
        numerator: ArrayLike,
        denominator: ArrayLike,
        *,
        covariate_numerator: ArrayLike | None = None,
        covariate_denominator: ArrayLike | None = None,
    ) -> "RatioSample":
        """Sum up a numerator and a denominator per unit (1-d, same order), with or without their lookback values.

        >>> RatioSample.from_values([10, 20, 30], [1, 1, 1]).moments()
        Moments(n=3, mean=20.0, variance=100.0)
        """
        m, d = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
        covariate = None
        if covariate_numerator is not None and covariate_denominator is not None:
            mx, dx = np.asarray(covariate_numerator, dtype=float), np.asarray(covariate_denominator, dtype=float)
            covariate = RatioCovariate(
                sum=_dot(mx),
                sum_squares=_dot(mx, mx),
                denominator_sum=_dot(dx),
                denominator_sum_squares=_dot(dx, dx),
                numerator_covariate_numerator=_dot(m, mx),
                denominator_covariate_denominator=_dot(d, dx),
                covariate_numerator_covariate_denominator=_dot(mx, dx),
                numerator_covariate_denominator=_dot(m, dx),
                denominator_covariate_numerator=_dot(d, mx),
            )
        return cls(
            n=m.size,
            sum=_dot(m),
            sum_squares=_dot(m, m),
            denominator_sum=_dot(d),
            denominator_sum_squares=_dot(d, d),
            numerator_denominator_sum_product=_dot(m, d),
            covariate=covariate,
        )

    def ratio(self) -> float | Undetermined:
        """R = Σm/Σd, which needs nothing but the two sums; `not-enough-metric-data` where Σd = 0.

        >>> RatioSample(n=100, sum=500, sum_squares=5000, denominator_sum=20).ratio()
        25.0
        """
        if self.denominator_sum == 0:
            return Undetermined("not-enough-metric-data")
        return self.sum / self.denominator_sum

    def covariance(self) -> float:
        """Covariance of numerator and denominator over the units, with n - 1; 0 for a single unit."""
        return centred_product(
            n=self.n, product=self.numerator_denominator_sum_product, left=self.sum, right=self.denominator_sum
        )

    def moments(self) -> Moments | Undetermined:
        """R = Σm/Σd and its variance per unit by the delta method.

        The variance Vm/D̄² + M̄²·Vd/D̄⁴ - 2·M̄·Cov/D̄³ is that of (m - R·d)/D̄, the linearised metric (Deng, Knoblich
        and Lu 2018, "Applying the Delta Method in Metric Analytics"), and never below 0.
        Undetermined: `not-enough-units` for n = 0, `invalid-sums`, `not-enough-metric-data` for Σd = 0.
        """
        failure = _units_or_sums_failure(self)
        if failure is not None:
            return failure
        if self.denominator_sum / self.n == 0:
            return Undetermined("not-enough-metric-data")
        return _finite(n=self.n, mean=self.sum / self.denominator_sum, variance=self.linearised_variance())

    def linearised_variance(self) -> float:
        """Variance of (m - R·d)/D̄ with n - 1, never below 0; the caller rules out Σd = 0.

        Sums near the ends of the doubles can make it infinite or NaN.
        """
        ratio, mean_denominator = self.sum / self.denominator_sum, self.denominator_sum / self.n
        of_numerator = centred_product(n=self.n, product=self.sum_squares, left=self.sum, right=self.sum)
        of_denominator = centred_product(
            n=self.n, product=self.denominator_sum_squares, left=self.denominator_sum, right=self.denominator_sum
        )
        linearised = of_numerator + ratio * (ratio * of_denominator - 2 * self.covariance())
        # Two divisions: the square of a tiny denominator would underflow to zero. The order of max keeps a NaN.
        return max(linearised / mean_denominator / mean_denominator, 0.0)


Sample: TypeAlias = MeanSample | ProportionSample | RatioSample


def centred_product(*, n: int, product: float, left: float, right: float) -> float:
    """Sample covariance of two values from their sums: (Σab - Σa·Σb/n)/(n - 1), 0 for fewer than two units.

    With left = right and the sum of squares it is the variance. Rounding can leave it slightly below zero.

    >>> centred_product(n=3, product=14, left=6, right=6)
    1.0
    """
    if n < 2:
        return 0.0
    return (product - left * right / n) / (n - 1)


def has_usable_sums(sample: Sample) -> bool:
    """Whether the sums can have come from real units.

    Every sum is finite and within what doubles carry, and the sum of squares reaches S²/n but for rounding:
    it may fall short by max(1e-10, 1e-12·S²/n). A negative count is not usable either.
    """
    if sample.n < 0:
        return False
    firsts, seconds = _sums(sample)
    # Comparisons, not isfinite: NaN fails them, and an integer of any length does not overflow in them.
    if not all(-LARGEST_SUM <= value <= LARGEST_SUM for value in firsts):
        return False
    if not all(-LARGEST_SUM_OF_SQUARES <= value <= LARGEST_SUM_OF_SQUARES for value in seconds):
        return False
    least = sample.sum * sample.sum / sample.n if sample.n else 0.0
    return sample.sum_squares >= least - max(1e-10, 1e-12 * least)


def _sums(sample: Sample) -> tuple[list[float], list[float]]:
    """The sample's first-order and second-order sums."""
    firsts: list[float] = [sample.sum]
    seconds: list[float] = [sample.sum_squares]
    if isinstance(sample, RatioSample):
        firsts.append(sample.denominator_sum)
        seconds += [sample.denominator_sum_squares, sample.numerator_denominator_sum_product]
    covariate = sample.covariate
    if covariate is None:
        return firsts, seconds
    firsts.append(covariate.sum)
    seconds.append(covariate.sum_squares)
    if isinstance(covariate, Covariate):
        seconds.append(covariate.product)
    else:
        firsts.append(covariate.denominator_sum)
        seconds += [
            covariate.denominator_sum_squares,
            covariate.numerator_covariate_numerator,
            covariate.denominator_covariate_denominator,
            covariate.covariate_numerator_covariate_denominator,
            covariate.numerator_covariate_denominator,
            covariate.denominator_covariate_numerator,
        ]
    return firsts, seconds


def _units_or_sums_failure(sample: Sample) -> Undetermined | None:
    if not has_usable_sums(sample):
        return Undetermined("invalid-sums")
    if sample.n == 0:
        return Undetermined("not-enough-units")
    return None


def _finite(*, n: int, mean: float, variance: float) -> Moments | Undetermined:
    if not all_finite(mean, variance):
        return Undetermined("invalid-sums")
    return Moments(n=n, mean=mean, variance=variance)


def _dot(left: np.ndarray, right: np.ndarray | None = None) -> float:
    return float(left.sum() if right is None else left @ right)


def _covariate(y: np.ndarray, covariate: ArrayLike | None) -> Covariate | None:
    if covariate is None:
        return None
    x = np.asarray(covariate, dtype=float)
    return Covariate(sum=_dot(x), sum_squares=_dot(x, x), product=_dot(x, y))
