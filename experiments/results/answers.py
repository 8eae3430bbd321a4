"""Results as clients read them. Numbers are finite, or null with a code that says why."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from common.datetimes import format_datetime
from events.store.base import MULTIPLE
from events.store.measures import Actor
from experiments.metrics import Metric
from experiments.results.compute import Arm, Comparison, ExposureCounts, MetricResult
from experiments.results.days import day_of
from experiments.results.design import Design
from stats.analysis import TreatmentAnalysis
from stats.results import FrequentistResult, Goal, favourable
from stats.samples import RatioSample
from stats.srm import BiasRisk, SampleRatioMismatch

# What a treatment shows when it has no statistics.
_SHARED = ("effect", "standard_error", "significant", "interval_excludes_zero", "favourable", "variance_reduction")
UNDEFINED: Mapping[str, Mapping[str, Any]] = {
    "frequentist": {
        "method": "frequentist",
        **dict.fromkeys((*_SHARED, "degrees_of_freedom", "p_value", "confidence_interval")),
    },
    "bayesian": {
        "method": "bayesian",
        **dict.fromkeys((*_SHARED, "chance_to_win", "credible_interval", "expected_loss")),
    },
}


def metric_answer(
    metric: Metric,
    result: MetricResult,
    *,
    method: str,
    warnings: Sequence[Mapping[str, Any]],
    is_precomputed: bool = False,
) -> dict[str, Any]:
    """The `result` of one metric, inferred by `method`. `warnings` are the findings that concern it.

    `is_precomputed`: from something kept in advance.
    """
    whole = _comparison(metric, result.whole, with_covariate=result.with_covariate, method=method)
    broken_down = None
    if result.breakdowns is not None:
        broken_down = [
            {
                "breakdown_value": list(comparison.values),
                **_renamed(_comparison(metric, comparison, with_covariate=result.with_covariate, method=method)),
                "sample_ratio_mismatch": mismatch_answer(comparison.mismatch),
            }
            for comparison in result.breakdowns
        ]
    return {
        **whole,
        "breakdown_results": broken_down,
        "is_precomputed": is_precomputed,
        "warnings": list(warnings),
    }


def _renamed(comparison: dict[str, Any]) -> dict[str, Any]:
    return {"baseline": comparison["baseline"], "variants": comparison["variant_results"]}


def _comparison(metric: Metric, comparison: Comparison, *, with_covariate: bool, method: str) -> dict[str, Any]:
    analysed = comparison.analysis
    base = _sums(metric, comparison.baseline, with_covariate=with_covariate)
    goal: Goal = metric.goal or "increase"
    return {
        "baseline": {**base, "validation_failures": list(analysed.baseline_validation_failures)},
        "variant_results": [
            {
                **_sums(metric, arm, with_covariate=with_covariate),
                "validation_failures": list(treatment.validation_failures),
                **_inference(treatment, goal=goal, method=method),
            }
            for arm, treatment in zip(comparison.treatments, analysed.treatments, strict=True)
        ],
    }


def _sums(metric: Metric, arm: Arm, *, with_covariate: bool) -> dict[str, Any]:
    sums = arm.sums
    shown: dict[str, Any] = {
        "key": arm.key,
        "number_of_samples": sums.n,
        "sum": number(sums.s),
        "sum_squares": number(sums.q),
    }
    is_ratio = isinstance(arm.sample, RatioSample)
    if is_ratio:
        shown["denominator_sum"] = number(sums.d)
        shown["denominator_sum_squares"] = number(sums.dd)
        shown["numerator_denominator_sum_product"] = number(sums.sd)
    if with_covariate:
        shown["covariate_sum"] = number(sums.x)
        shown["covariate_sum_squares"] = number(sums.xx)
        shown["covariate_sum_product"] = number(sums.xy)
    if with_covariate and is_ratio:
        shown["covariate_denominator_sum"] = number(sums.dx)
        shown["covariate_denominator_sum_squares"] = number(sums.dxdx)
        shown["cross_products"] = {
            "numerator_covariate_numerator": number(sums.xy),
            "denominator_covariate_denominator": number(sums.d_dx),
            "covariate_numerator_covariate_denominator": number(sums.x_dx),
            "numerator_covariate_denominator": number(sums.s_dx),
            "denominator_covariate_numerator": number(sums.d_x),
        }
    if metric.metric_type == "funnel":
        shown["step_counts"] = sums.step_counts
    if arm.sessions is not None:
        shown["step_sessions"] = [[_actor(actor) for actor in step] for step in arm.sessions]
    return shown


def _actor(actor: Actor) -> dict[str, Any]:
    return {
        "person_id": str(actor.person_id),
        "session_id": actor.session_id,
        "event_uuid": str(actor.event_uuid),
        "timestamp": format_datetime(actor.timestamp),
    }


def number(value: float) -> float | int | None:
    """A sum as JSON: whole numbers without a fraction, infinity and NaN as null."""
    if not isfinite(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)


def _inference(treatment: TreatmentAnalysis, *, goal: Goal, method: str) -> dict[str, Any]:
    result = treatment.result
    if result is None:
        return dict(UNDEFINED[method])
    shared = {
        "method": result.method,
        "effect": result.effect,
        "standard_error": result.standard_error,
        "significant": result.significant,
        "interval_excludes_zero": result.interval_excludes_zero,
        "favourable": favourable(result=result, goal=goal),
        "variance_reduction": result.variance_reduction,
    }
    if isinstance(result, FrequentistResult):
        return {
            **shared,
            "degrees_of_freedom": result.degrees_of_freedom,
            "p_value": result.p_value,
            "confidence_interval": list(result.confidence_interval),
        }
    loss = result.expected_loss
    return {
        **shared,
        "chance_to_win": result.chance_to_win,
        "credible_interval": list(result.credible_interval),
        "expected_loss": {"treatment": loss.treatment, "control": loss.control},
    }


def exposures_answer(
    counts: ExposureCounts, design: Design, *, risk: BiasRisk | None, warnings: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The exposures over time, cumulative, one entry per day of the window in the project's time zone."""
    plan = design.exposure
    days = _days(plan.start, plan.end, zone=ZoneInfo(plan.zone))
    shown_days = [day.isoformat() for day in days]
    arms = list(design.variants)
    if counts.totals.get(MULTIPLE):
        arms.append(MULTIPLE)
    return {
        "timeseries": [
            {
                "variant": arm,
                "days": shown_days,
                "exposure_counts": list(accumulate(counts.by_day.get((arm, day), 0) for day in days)),
            }
            for arm in arms
        ],
        "total_exposures": {arm: counts.totals.get(arm, 0) for arm in arms},
        "date_range": {
            "date_from": format_datetime(plan.start),
            "date_to": format_datetime(plan.end),
            "explicitDate": True,
        },
        "sample_ratio_mismatch": mismatch_answer(counts.mismatch),
        "bias_risk": None if risk is None else {"multiple_variant_percentage": risk.multiple_variant_percentage},
        "warnings": list(warnings),
    }


def mismatch_answer(mismatch: SampleRatioMismatch | None) -> dict[str, Any] | None:
    """What an answer says of the arms' sizes; null where there is too little to tell."""
    return None if mismatch is None else {"expected": dict(mismatch.expected), "p_value": mismatch.p_value}


def _days(start: datetime, end: datetime, *, zone: ZoneInfo) -> Sequence[date]:
    first, last = day_of(start, zone), day_of(end, zone)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
