"""The sequential test: an asymptotic confidence sequence, valid at every look however often one looks.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit theory and asymptotic confidence
sequences" (arXiv 2103.06476): the two-sided normal mixture boundary, and its tuning to one sample size.
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import ClassVar

from stats.effects import Difference
from stats.frequentist import WelchTest
from stats.results import (
    FrequentistResult,
    InvalidParameter,
    Undetermined,
    all_finite,
    require_open_unit_interval,
)


def mixture_rho(*, alpha: float, tuning_parameter: float) -> float:
    """ρ = sqrt((-2·ln α + ln(-2·ln α + 1))/N): the sequence is tightest when both arms together have N units.

    InvalidParameter: N not above 0 (or not finite), alpha outside (0, 1).

    >>> round(mixture_rho(alpha=0.05, tuning_parameter=5000), 6)
    0.03984
    """
    require_open_unit_interval(name="alpha", value=alpha)
    if not (tuning_parameter > 0 and all_finite(tuning_parameter)):
        raise InvalidParameter(f"tuning_parameter must be a finite number above 0, not {tuning_parameter!r}.")
    twice_log = -2 * log(alpha)
    return sqrt((twice_log + log(twice_log + 1)) / tuning_parameter)


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Two-sided test that keeps its level `alpha` under continuous looking; `tuning_parameter` N > 0 in units.

    Construction raises InvalidParameter for values outside their domain.
    """

    minimum_units: ClassVar[int] = 5
    needs_successes_and_failures: ClassVar[bool] = False

    alpha: float = 0.05
    tuning_parameter: float = 5000

    def __post_init__(self) -> None:
        mixture_rho(alpha=self.alpha, tuning_parameter=self.tuning_parameter)

    def half_width(self, difference: Difference) -> float:
        """sqrt(V·n)·sqrt(2k·ln(√k/α))/(nρ) with k = nρ² + 1 and n the units of both arms.

        >>> delta = Difference(effect=0.0, variance=4.75e-5, degrees_of_freedom=3998.0, units=4000, baseline_size=0.05,
        ...                    difference_type="ABSOLUTE")
        >>> round(SequentialTest().half_width(delta), 6)
        0.020954
        """
        n, rho = difference.units, mixture_rho(alpha=self.alpha, tuning_parameter=self.tuning_parameter)
        k = n * rho * rho + 1
        return sqrt(difference.variance * n) * sqrt(2 * k * (log(k) / 2 - log(self.alpha))) / (n * rho)

    def p_value(self, difference: Difference) -> float:
        """min(1, √k·exp(-nρ²δ²/(2kV))), in logarithms: the level at which the interval with this ρ touches 0."""
        rho = mixture_rho(alpha=self.alpha, tuning_parameter=self.tuning_parameter)
        growth = difference.units * rho * rho
        z = difference.effect / difference.standard_error
        return exp(min(0.0, log(growth + 1) / 2 - growth / (growth + 1) * z * z / 2))

    def infer(self, difference: Difference) -> FrequentistResult | Undetermined:
        """The confidence sequence at this look; `degrees_of_freedom` is None.

        The sequence rests on normal tails. With a handful of units, or dozens of standard errors out, Student's t is
        the wider of the two; the answer is then the fixed-horizon one, so a look never claims more than a single
        planned look would. The interval touches 0 exactly where p = alpha in either case. `invalid-sums` where an
        answer would not be finite.
        """
        fixed = WelchTest(alpha=self.alpha).infer(difference)
        if isinstance(fixed, Undetermined):
            return fixed
        half_width = self.half_width(difference)
        p_value = max(self.p_value(difference), fixed.p_value)
        low = min(difference.effect - half_width, fixed.confidence_interval[0])
        high = max(difference.effect + half_width, fixed.confidence_interval[1])
        if not all_finite(p_value, low, high):
            return Undetermined("invalid-sums")
        return FrequentistResult(
            effect=difference.effect,
            standard_error=difference.standard_error,
            degrees_of_freedom=None,
            p_value=p_value,
            confidence_interval=(low, high),
            significant=p_value < self.alpha,
            variance_reduction=difference.variance_reduction,
        )
