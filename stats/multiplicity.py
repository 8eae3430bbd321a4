"""Many comparisons at once: p-values and intervals that keep an error rate over a whole family of tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stats.distributions import t_critical
from stats.results import (
    FrequentistResult,
    Interval,
    InvalidParameter,
    all_finite,
    require_open_unit_interval,
)

Correction: TypeAlias = Literal["none", "holm", "benjamini_hochberg"]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """One member of the family after the correction; both are None outside of it."""

    p_value_adjusted: float | None = None
    confidence_interval_adjusted: Interval | None = None


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down p-values, in the order given: ascending p(i)·(m - i + 1), running maximum, at most 1.

    Keeps the probability of any false positive in the family. Holm 1979, "A simple sequentially rejective multiple
    test procedure". InvalidParameter for a p-value outside 0..1.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, p_values[index] * (len(p_values) - rank))
        adjusted[index] = min(running, 1.0)
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini and Hochberg's step-up p-values, in the order given: p(i)·m/i, running minimum from the largest.

    Keeps the expected share of false positives among the positives. Benjamini and Hochberg 1995, "Controlling the
    False Discovery Rate". InvalidParameter for a p-value outside 0..1.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(p_values)
    running = 1.0
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        running = min(running, p_values[index] * len(p_values) / rank)
        adjusted[index] = running
    return tuple(adjusted)


def adjusted_interval(
    *,
    effect: float,
    degrees_of_freedom: float | None,
    p_value_adjusted: float,
    alpha: float,
    unadjusted: Interval | None = None,
) -> Interval | None:
    """The interval that touches zero where the adjusted p-value is alpha, never narrower than `unadjusted`.

    Half width |δ|·t(1-α/2; df)/t(1-p_adj/2; df). None where there is none: p_adj = 1, δ = 0, or a sequential test
    (`degrees_of_freedom` None). InvalidParameter for alpha outside (0, 1).

    >>> low, high = adjusted_interval(effect=0.1, degrees_of_freedom=80.0, p_value_adjusted=0.05, alpha=0.05)
    >>> round(low, 12), round(high, 12)
    (0.0, 0.2)
    """
    require_open_unit_interval(name="alpha", value=alpha)
    if degrees_of_freedom is None or effect == 0 or p_value_adjusted >= 1:
        return None
    distance = t_critical(p_value_adjusted / 2, degrees_of_freedom=degrees_of_freedom)
    if distance <= 0:
        return None
    half_width = abs(effect) * t_critical(alpha / 2, degrees_of_freedom=degrees_of_freedom) / distance
    low, high = effect - half_width, effect + half_width
    if unadjusted is not None:
        low, high = min(low, unadjusted[0]), max(high, unadjusted[1])
    return (low, high) if all_finite(low, high) else None


def adjust_family(
    *, correction: Correction, results: Sequence[FrequentistResult | None], alpha: float
) -> tuple[Adjusted, ...]:
    """Correct a family of results, in the order given; a None (no statistics) stays outside and is not counted.

    With the correction `none` every member is `Adjusted()`. InvalidParameter for alpha outside (0, 1).

    >>> weak = FrequentistResult(effect=0.2, standard_error=0.1, degrees_of_freedom=80.0, p_value=0.04,
    ...                          confidence_interval=(0.001, 0.399), significant=True)
    >>> [member.p_value_adjusted for member in adjust_family(correction="holm", results=[weak, None, weak], alpha=0.05)]
    [0.08, None, 0.08]
    """
    if correction == "none":
        return tuple(Adjusted() for _ in results)
    members = [result for result in results if result is not None]
    adjusted = iter(_CORRECTIONS[correction]([member.p_value for member in members]))
    return tuple(
        Adjusted() if result is None else _adjusted(result=result, p_value_adjusted=next(adjusted), alpha=alpha)
        for result in results
    )


def _adjusted(*, result: FrequentistResult, p_value_adjusted: float, alpha: float) -> Adjusted:
    return Adjusted(
        p_value_adjusted=p_value_adjusted,
        confidence_interval_adjusted=adjusted_interval(
            effect=result.effect,
            degrees_of_freedom=result.degrees_of_freedom,
            p_value_adjusted=p_value_adjusted,
            alpha=alpha,
            unadjusted=result.confidence_interval,
        ),
    )


def _ascending(p_values: Sequence[float]) -> list[int]:
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise InvalidParameter(f"A p-value must lie between 0 and 1, not {p_value!r}.")
    return sorted(range(len(p_values)), key=p_values.__getitem__)


_CORRECTIONS: dict[Literal["holm", "benjamini_hochberg"], Callable[[Sequence[float]], tuple[float, ...]]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
}
