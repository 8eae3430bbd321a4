"""How long an experiment would have to run: what a request says, judged, and the plan of `stats.power`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from common.errors import Invalid
from stats import power

_NEED_SUMS = frozenset({"ratio", "retention"})


def plan(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The plan for the validated fields of a request. Raises Invalid when they do not say enough. Writes nothing."""
    effect, metric_type = asked["minimum_detectable_effect"], asked["metric_type"]
    value, variance, sums = (asked.get(name) for name in ("baseline_value", "variance", "baseline_stats"))
    if effect <= 0:
        raise Invalid("Must be greater than 0.", attr="minimum_detectable_effect")
    if value is None and sums is None:
        raise Invalid("Provide either baseline_value or baseline_stats.")
    if metric_type == "funnel" and value is not None and not 0 <= value <= 1:
        raise Invalid("baseline_value must be between 0 and 1 for funnel metrics.", attr="baseline_value")
    if metric_type in _NEED_SUMS and (value is None or variance is None):
        if sums is None:
            raise Invalid("Ratio and retention metrics require baseline_stats, or both baseline_value and variance.")
        if not sums.get("denominator_sum"):
            raise Invalid("Required to size ratio and retention metrics.", attr="baseline_stats__denominator_sum")
    return asdict(
        power.running_time(
            metric_type=metric_type,
            minimum_detectable_effect=effect,
            number_of_variants=asked.get("number_of_variants", 2),
            units_per_day=asked.get("exposure_rate_per_day"),
            value=value,
            variance=variance,
            stats=None if sums is None else _baseline_stats(sums),
        )
    )


def _baseline_stats(sums: Mapping[str, Any]) -> power.BaselineStats:
    given = {name: value for name, value in sums.items() if value is not None}
    return power.BaselineStats(**{"sum": 0, **given, "step_counts": tuple(given.get("step_counts", ()))})
