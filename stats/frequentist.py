"""The fixed-horizon test: Welch's t on the effect, valid at one look planned beforehand."""

from dataclasses import dataclass
from typing import ClassVar

from stats.distributions import t_critical, t_two_sided_p
from stats.effects import Difference
from stats.results import FrequentistResult, Undetermined, all_finite, require_open_unit_interval


@dataclass(frozen=True, slots=True)
class WelchTest:
    """Two-sided test with unequal variances at significance level `alpha` (0 < alpha < 1, else InvalidParameter)."""

    minimum_units: ClassVar[int] = 5
    needs_successes_and_failures: ClassVar[bool] = False

    alpha: float = 0.05

    def __post_init__(self) -> None:
        require_open_unit_interval(name="alpha", value=self.alpha)

    def infer(self, difference: Difference) -> FrequentistResult | Undetermined:
        """p = 2·sf(|δ|/√V; df) and δ ± t(1-α/2; df)·√V, on the scale of the difference.

        Welch 1947 for the degrees of freedom; they are the same on both scales. `invalid-sums` where an answer
        would not be finite.

        >>> delta = Difference(effect=0.2, variance=0.01, degrees_of_freedom=10.0, units=12, baseline_size=1.0,
        ...                    difference_type="ABSOLUTE")
        >>> result = WelchTest(alpha=0.05).infer(delta)
        >>> round(result.p_value, 6), [round(bound, 6) for bound in result.confidence_interval], result.significant
        (0.073388, [-0.022814, 0.422814], False)
        """
        standard_error = difference.standard_error
        df = difference.degrees_of_freedom
        p_value = t_two_sided_p(difference.effect / standard_error, degrees_of_freedom=df)
        half_width = t_critical(self.alpha / 2, degrees_of_freedom=df) * standard_error
        low, high = difference.effect - half_width, difference.effect + half_width
        if not all_finite(p_value, low, high):
            return Undetermined("invalid-sums")
        return FrequentistResult(
            effect=difference.effect,
            standard_error=standard_error,
            degrees_of_freedom=df,
            p_value=p_value,
            confidence_interval=(low, high),
            significant=p_value < self.alpha,
            variance_reduction=difference.variance_reduction,
        )
