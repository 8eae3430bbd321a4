"""Fingerprints: what identifies a metric's computation within its experiment.

Two metrics have one fingerprint exactly when the same numbers are to be computed for them, so labels are left out.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_NOT_HASHED = ("uuid", "name", "kind", "fingerprint")


@dataclass(frozen=True, kw_only=True)
class FingerprintContext:
    """What of the experiment changes the numbers of all its metrics. `stats_method` None is the default one."""

    start_date: datetime | None
    stats_method: str | None
    exposure_criteria: Mapping[str, Any] | None
    only_count_matured_users: bool
    excluded_variants: Sequence[str]


def fingerprint(metric: Mapping[str, Any], context: FingerprintContext) -> str:
    """Lower-case hexadecimal SHA-256 of the canonical JSON of metric and context.

    Numbers count in the form they were sent in: 1 and 1.0 give two fingerprints.
    """
    hashed: dict[str, Any] = {
        "metric": _hashed_metric(metric),
        "start_date": context.start_date and context.start_date.astimezone(UTC).isoformat(),
        "stats_method": context.stats_method or "bayesian",
    }
    if context.exposure_criteria:
        hashed["exposure_criteria"] = context.exposure_criteria
    if context.only_count_matured_users:
        hashed["only_count_matured_users"] = True
    if context.excluded_variants:
        hashed["excluded_variants"] = sorted(set(context.excluded_variants))
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def with_fingerprint(metric: Mapping[str, Any], context: FingerprintContext) -> dict[str, Any]:
    """The metric with its fingerprint as the last key, whatever it had before."""
    bare = {name: value for name, value in metric.items() if name != "fingerprint"}
    return {**bare, "fingerprint": fingerprint(metric, context)}


def _hashed_metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    """The metric without its labels and without the ways of saying that there is no breakdown."""
    hashed = {name: value for name, value in metric.items() if name not in _NOT_HASHED}
    if "breakdownFilter" in hashed:
        given = hashed.pop("breakdownFilter") or {}
        breakdown = {name: value for name, value in given.items() if name != "breakdowns" or value}
        if breakdown:
            hashed["breakdownFilter"] = breakdown
    return hashed
