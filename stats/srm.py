"""Did the arms get the traffic they were promised? Sample ratio mismatch, and the bias of units seen in two arms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal, TypeAlias

from scipy import special

from stats.results import InvalidParameter, all_finite

VariantHandling: TypeAlias = Literal["exclude", "first_seen"]

FEWEST_UNITS_TO_REPORT = 100
FEWEST_UNITS_TO_ALARM = 1000
ALARMING_P_VALUE = 0.001
ALARMING_DEVIATIONS = 3
BIAS_THRESHOLD_PERCENT = 0.1


@dataclass(frozen=True, slots=True)
class SampleRatioMismatch:
    """The χ² test of the arms' sizes; `expected` holds the units each arm with traffic should have."""

    chi_square: float
    p_value: float
    expected: dict[str, float]


@dataclass(frozen=True, slots=True)
class BiasRisk:
    """Units seen in more than one arm, in percent of all units; leaving them out may bias an uneven split."""

    multiple_variant_percentage: float


def chi_square_test(*, observed: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatioMismatch:
    """Pearson's χ² of observed units against the arms' weights, with k - 1 degrees of freedom; no floors.

    Weights are in any unit (percentages, shares) and are renormalised over the arms above 0; other arms and their
    units stay out, a missing arm counts 0. Without any unit χ² is 0 and p is 1. InvalidParameter for a weight or a
    count that is negative or not finite, and for fewer than two arms with weight.
    Pearson 1900; for experiments Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled
    Experiments".

    >>> test = chi_square_test(observed={"control": 80, "test": 120}, weights={"control": 50, "test": 50})
    >>> test.chi_square, round(test.p_value, 6), test.expected
    (8.0, 0.004678, {'control': 100.0, 'test': 100.0})
    """
    for amount in (*weights.values(), *observed.values()):
        if not (all_finite(amount) and amount >= 0):
            raise InvalidParameter(f"Weights and counts must be finite and not negative, not {amount!r}.")
    shares = _expected_shares(weights)
    if len(shares) < 2:
        raise InvalidParameter("A sample ratio needs two arms with traffic.")
    total = sum(observed.get(arm, 0) for arm in shares)
    expected = {arm: total * share for arm, share in shares.items()}
    statistic = sum((observed.get(arm, 0) - units) ** 2 / units for arm, units in expected.items()) if total else 0.0
    return SampleRatioMismatch(
        chi_square=statistic,
        p_value=float(special.chdtrc(len(shares) - 1, statistic)),
        expected=expected,
    )


def sample_ratio_mismatch(*, observed: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatioMismatch | None:
    """The test as results report it: None below 100 units or below two arms with traffic.

    `observed` holds the analysed arms only: no excluded variants, no holdout, no `$multiple`. Errors, besides the
    number of arms, as in `chi_square_test`.

    >>> sample_ratio_mismatch(observed={"a": 40, "b": 40}, weights={"a": 50, "b": 50}) is None
    True
    """
    shares = _expected_shares(weights)
    if len(shares) < 2 or sum(observed.get(arm, 0) for arm in shares) < FEWEST_UNITS_TO_REPORT:
        return None
    return chi_square_test(observed=observed, weights=weights)


def is_alarming(*, mismatch: SampleRatioMismatch | None, observed: Mapping[str, int]) -> bool:
    """Whether a mismatch should stop people from trusting the results.

    True from 1000 units on, with p < 0.001 and some arm's share more than 3 standard deviations sqrt(s(1-s)/total)
    away from its expected share s.

    >>> arms = {"a": 5000, "b": 5400}
    >>> is_alarming(mismatch=sample_ratio_mismatch(observed=arms, weights={"a": 1, "b": 1}), observed=arms)
    True
    """
    if mismatch is None or mismatch.p_value >= ALARMING_P_VALUE:
        return False
    total = sum(observed.get(arm, 0) for arm in mismatch.expected)
    if total < FEWEST_UNITS_TO_ALARM:
        return False
    # In units instead of shares: both sides of the documented comparison times the total.
    return any(
        abs(observed.get(arm, 0) - units) > ALARMING_DEVIATIONS * sqrt(units * (1 - units / total))
        for arm, units in mismatch.expected.items()
    )


def bias_risk(
    *,
    units_per_arm: Mapping[str, int],
    multiple_variant_units: int,
    percentages: Sequence[float],
    is_running: bool,
    handling: VariantHandling,
) -> BiasRisk | None:
    """The share of units seen in more than one arm, where leaving them out can bias the comparison.

    None unless the experiment runs, such units are excluded, the percentages (in variant order) differ from the
    automatic split, and the share is above 0.1 %. `units_per_arm` does not contain the `multiple_variant_units`.

    >>> bias_risk(units_per_arm={"control": 790, "test": 200}, multiple_variant_units=10, percentages=[80, 20],
    ...           is_running=True, handling="exclude")
    BiasRisk(multiple_variant_percentage=1.0)
    """
    if not is_running or handling != "exclude" or tuple(percentages) == automatic_split(len(percentages)):
        return None
    total = sum(units_per_arm.values()) + multiple_variant_units
    if total == 0:
        return None
    percentage = 100 * multiple_variant_units / total
    return BiasRisk(multiple_variant_percentage=percentage) if percentage > BIAS_THRESHOLD_PERCENT else None


def automatic_split(variants: int) -> tuple[int, ...]:
    """Whole percentages that share 100 among the variants as evenly as can be; the first ones get what is left.

    >>> automatic_split(3), automatic_split(2)
    ((34, 33, 33), (50, 50))
    """
    if variants < 1:
        return ()
    share, rest = divmod(100, variants)
    return tuple(share + 1 if position < rest else share for position in range(variants))


def _expected_shares(weights: Mapping[str, float]) -> dict[str, float]:
    with_traffic = {arm: weight for arm, weight in weights.items() if weight > 0}
    total = sum(with_traffic.values())
    return {arm: weight / total for arm, weight in with_traffic.items()}
