"""What an inference answers: a result, or the reason why there is none."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

DifferenceType: TypeAlias = Literal["RELATIVE", "ABSOLUTE"]
"""RELATIVE: in units of the baseline's absolute value, 0.05 is +5 %. ABSOLUTE: in units of the metric."""

Goal: TypeAlias = Literal["increase", "decrease"]

Interval: TypeAlias = tuple[float, float]
"""Lower and upper bound, lower first, both finite."""

Reason: TypeAlias = Literal[
    "not-enough-exposures",
    "not-enough-metric-data",
    "baseline-mean-is-zero",
    "baseline-not-positive",
    "too-few-successes-or-failures",
    "invalid-sums",
    "zero-variance",
    "not-enough-units",
]


class InvalidParameter(ValueError):
    """An argument outside its domain: a fault of the caller, whatever the numbers of the experiment are."""


@dataclass(frozen=True, slots=True)
class Undetermined:
    """The statistic does not exist; `reason` is the code to show in its place."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class ExpectedLoss:
    """What choosing an arm is expected to cost, on the scale of the effect; both are >= 0."""

    treatment: float
    control: float


@dataclass(frozen=True, slots=True)
class FrequentistResult:
    """A treatment against the baseline, by a fixed-horizon or a sequential test.

    Effect, standard error and interval share the selected scale, and so does the p-value: it is the one at which
    this interval would just touch zero. `degrees_of_freedom` is None for a sequential test; `variance_reduction`
    is the share of the treatment's variance that its covariate explained, None without one. Floats are finite.
    """

    method: ClassVar[Literal["frequentist"]] = "frequentist"

    effect: float
    standard_error: float
    degrees_of_freedom: float | None
    p_value: float
    confidence_interval: Interval
    significant: bool
    variance_reduction: float | None = None

    @property
    def interval_excludes_zero(self) -> bool:
        """Whether both bounds lie on the same side of zero."""
        return excludes_zero(self.confidence_interval)


@dataclass(frozen=True, slots=True)
class BayesianResult:
    """The posterior of a treatment's effect.

    `effect` and `standard_error` are the posterior's mean and standard deviation; `chance_to_win` is the
    probability that the treatment is above the baseline, whatever the metric's goal. `significant` is a one-sided
    rule on either side and may be true while the interval covers zero. Floats are finite.
    """

    method: ClassVar[Literal["bayesian"]] = "bayesian"

    effect: float
    standard_error: float
    chance_to_win: float
    credible_interval: Interval
    expected_loss: ExpectedLoss
    significant: bool
    variance_reduction: float | None = None

    @property
    def interval_excludes_zero(self) -> bool:
        """Whether both bounds lie on the same side of zero."""
        return excludes_zero(self.credible_interval)


def excludes_zero(interval: Interval) -> bool:
    """Whether both bounds lie on the same side of zero; an interval that touches zero does not exclude it.

    >>> excludes_zero((0.01, 0.2)), excludes_zero((-0.1, 0.0))
    (True, False)
    """
    low, high = interval
    return low > 0 or high < 0


def favourable(*, result: FrequentistResult | BayesianResult, goal: Goal) -> bool | None:
    """Whether a significant effect points where the metric's goal does; None unless it is significant.

    >>> falling = FrequentistResult(effect=-0.2, standard_error=0.05, degrees_of_freedom=90.0, p_value=0.0001,
    ...                             confidence_interval=(-0.3, -0.1), significant=True)
    >>> favourable(result=falling, goal="increase"), favourable(result=falling, goal="decrease")
    (False, True)
    """
    if not result.significant:
        return None
    return result.effect > 0 if goal == "increase" else result.effect < 0


def require_open_unit_interval(*, name: str, value: float) -> None:
    """Raise `InvalidParameter` unless 0 < value < 1 (alpha, a confidence level, a power)."""
    if not 0 < value < 1:
        raise InvalidParameter(f"{name} must lie strictly between 0 and 1, not {value!r}.")


def all_finite(*values: float) -> bool:
    """Whether every value is a number that an answer may show."""
    return all(math.isfinite(value) for value in values)
