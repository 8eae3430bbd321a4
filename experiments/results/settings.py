"""How an experiment's results are inferred: its `stats_config`, read leniently. Unusable values count as absent."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, nextafter
from typing import Any, Literal, cast, get_args

from feature_flags.eligibility import CONTROL
from stats.analysis import StatisticalTest
from stats.bayesian import BayesianTest, Prior
from stats.frequentist import WelchTest
from stats.results import DifferenceType
from stats.sequential import SequentialTest

Multiplicity = Literal["none", "holm", "benjamini_hochberg"]
LOOKBACK_DAYS = (1, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The statistics of one experiment."""

    method: Literal["bayesian", "frequentist"]
    difference_type: DifferenceType
    alpha: float
    ci_level: float
    prior: Prior | None
    sequential: bool
    tuning_parameter: float
    cuped: bool
    lookback_days: int
    multiplicity: Multiplicity

    @property
    def test(self) -> StatisticalTest:
        if self.method == "bayesian":
            return BayesianTest(ci_level=self.ci_level, prior=self.prior)
        if self.sequential:
            return SequentialTest(alpha=self.alpha, tuning_parameter=self.tuning_parameter)
        return WelchTest(alpha=self.alpha)

    @property
    def error_rate(self) -> float:
        """The share of false alarms that the method accepts."""
        # Beside a level next to nothing the rest is 1 in doubles, and no error rate.
        return self.alpha if self.method == "frequentist" else min(1 - self.ci_level, nextafter(1, 0))

    def shown(self) -> dict[str, Any]:
        """What a results answer says of them."""
        frequentist = self.method == "frequentist"
        prior = None if self.prior is None else {"mean": self.prior.mean, "variance": self.prior.variance}
        return {
            "method": self.method,
            "difference_type": self.difference_type,
            "alpha": self.alpha if frequentist else None,
            "ci_level": None if frequentist else self.ci_level,
            "prior": None if frequentist else prior,
            "sequential": {"enabled": self.sequential, "tuning_parameter": self.tuning_parameter},
            "cuped": {"enabled": self.cuped, "lookback_days": self.lookback_days},
            "multiplicity": self.multiplicity,
        }


def settings_of(config: Mapping[str, Any] | None) -> Settings:
    """The settings in force for a stored `stats_config`."""
    stored = config or {}
    bayesian, frequentist, cuped = (_section(stored, name) for name in ("bayesian", "frequentist", "cuped"))
    method = cast(Literal["bayesian", "frequentist"], _choice(stored.get("method"), ("bayesian", "frequentist")))
    chosen = bayesian if method == "bayesian" else frequentist
    lookback = cuped.get("lookback_days")
    days = lookback if isinstance(lookback, int) and not isinstance(lookback, bool) else 14
    return Settings(
        method=method,
        difference_type=cast(DifferenceType, _choice(chosen.get("difference_type"), ("RELATIVE", "ABSOLUTE"))),
        alpha=_number(frequentist.get("alpha"), low=0, high=1, default=0.05),
        ci_level=_number(bayesian.get("ci_level"), low=0, high=1, default=0.95),
        prior=_prior(bayesian.get("prior")),
        sequential=frequentist.get("sequential_testing_enabled") is True,
        tuning_parameter=_tuning(frequentist.get("sequential_tuning_parameter")),
        cuped=cuped.get("enabled") is True,
        lookback_days=min(max(days, LOOKBACK_DAYS[0]), LOOKBACK_DAYS[1]),
        multiplicity=cast(Multiplicity, _choice(stored.get("multiplicity"), get_args(Multiplicity))),
    )


def baseline_of(config: Mapping[str, Any] | None, variants: Sequence[str]) -> str:
    """The arm that all others are compared with; there is at least one variant."""
    for key in ((config or {}).get("baseline_variant_key"), CONTROL):
        if key in variants:
            return cast(str, key)
    return variants[0]


def _section(stored: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = stored.get(name)
    return section if isinstance(section, dict) else {}


def _choice(value: Any, choices: Sequence[str]) -> str:
    return value if isinstance(value, str) and value in choices else choices[0]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # Comparisons, not isfinite: an integer of any length does not overflow in them.
    return -sys.float_info.max <= value <= sys.float_info.max


def _number(value: Any, *, low: float, high: float, default: float) -> float:
    return float(value) if _is_number(value) and low < value < high else default


def _tuning(value: Any) -> float:
    return float(value) if _is_number(value) and 1 <= value <= 1e9 else 5000.0


def _prior(value: Any) -> Prior | None:
    if not isinstance(value, dict):
        return None
    mean, variance = (_number(value.get(name), low=-inf, high=inf, default=nan) for name in ("mean", "variance"))
    return Prior(mean=mean, variance=variance) if isfinite(mean) and variance > 0 else None
