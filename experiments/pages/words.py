"""What stored metrics, settings and codes mean, in words."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from experiments import metrics
from experiments.metrics.base import SECONDS, ExperimentMetric
from experiments.metrics.funnel import FunnelMetric
from experiments.metrics.mean import MeanMetric
from experiments.metrics.nodes import ActionsNode, DataWarehouseNode, EventsNode
from experiments.metrics.ratio import RatioMetric
from experiments.metrics.retention import RetentionMetric
from experiments.pages import figures
from stats.results import Reason

KINDS: Mapping[str, str] = {"funnel": "Funnel", "mean": "Mean", "ratio": "Ratio", "retention": "Retention"}
GOALS: Mapping[str, str] = {"increase": "Higher is better", "decrease": "Lower is better"}
SEVERITIES: Mapping[str, str] = {"error": "Error", "warning": "Warning", "info": "Note"}
REASONS: Mapping[Reason, str] = {
    "not-enough-exposures": "fewer than 50 were exposed",
    "not-enough-metric-data": "too little happened to judge",
    "baseline-mean-is-zero": "the baseline is zero",
    "baseline-not-positive": "the baseline is too close to zero",
    "too-few-successes-or-failures": "fewer than 5 succeeded or fewer than 5 failed",
    "invalid-sums": "the values are too large to compute with",
    "zero-variance": "all values are the same",
    "not-enough-units": "too few were exposed",
}
_MATHS: Mapping[str, str] = {
    "sum": "Sum of {property} of {node}",
    "min": "Smallest {property} of {node}",
    "max": "Largest {property} of {node}",
    "avg": "Average {property} of {node}",
    "unique_session": "Sessions with {node}",
    "dau": "Users with {node}",
    "unique_group": "Groups with {node}",
}
CORRECTIONS: Mapping[str, str] = {"holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg"}
_ORDERS: Mapping[str, str] = {"unordered": ", in any order", "strict": ", without other steps between"}


def definition(document: Mapping[str, Any]) -> str:
    """What a stored metric measures; empty when it cannot be read."""
    try:
        metric: ExperimentMetric = metrics.read(document)
    except ValidationError:
        return ""
    return _measured(metric) + _window(metric)


def _measured(metric: ExperimentMetric) -> str:
    if isinstance(metric, FunnelMetric):
        return " → ".join(node_name(node) for node in metric.series) + _ORDERS.get(metric.order.value, "")
    if isinstance(metric, MeanMetric):
        return _mean(metric)
    if isinstance(metric, RatioMetric):
        return f"{_value(metric.numerator)}, divided by: {_value(metric.denominator)}"
    if isinstance(metric, RetentionMetric):
        when = {"first_seen": "After the first", "last_seen": "After the last"}[metric.start_handling]
        unit = metric.retention_window_unit
        window = f"{metric.retention_window_start} to {figures.plural(metric.retention_window_end, unit)}"
        return f"{when} {node_name(metric.start_event)}: {node_name(metric.completion_event)} within {window}"
    raise TypeError(f"{type(metric).__name__} has no words yet")


def _mean(metric: MeanMetric) -> str:
    value = _value(metric.source)
    if metric.threshold is not None:
        return f"{value}, at least {metric.threshold:g}"
    bounds = {"below": metric.lower_bound_percentile, "above": metric.upper_bound_percentile}
    cut = [
        f"{side} the {figures.ordinal(bound * 100)} percentile" for side, bound in bounds.items() if bound is not None
    ]
    return f"{value}; values {' and '.join(cut)} are capped" if cut else value


def _value(node: EventsNode | ActionsNode | DataWarehouseNode) -> str:
    pattern = _MATHS.get(node.math or "", "Number of {node}")
    return pattern.format(node=node_name(node), property=node.math_property or "the value")


def node_name(node: EventsNode | ActionsNode | DataWarehouseNode) -> str:
    """How a source is called on the page."""
    own = node.custom_name
    if own:
        return own
    if isinstance(node, EventsNode):
        return "any event" if node.event is None else node.event
    if isinstance(node, ActionsNode):
        return node.name or f"action {node.id}"
    return node.table_name


def steps(document: Mapping[str, Any]) -> list[str]:
    """The names of a funnel's steps; none when it cannot be read."""
    try:
        metric = metrics.read(document)
    except ValidationError:
        return []
    return [node_name(node) for node in metric.series] if isinstance(metric, FunnelMetric) else []


def _window(metric: ExperimentMetric) -> str:
    unit = metric.conversion_window_unit
    if metric.window_seconds is None or unit is None:
        return ""
    return f"; within {figures.plural(metric.window_seconds // SECONDS[unit], unit)} of the exposure"


def is_share(document: Mapping[str, Any]) -> bool:
    """Whether a metric's values are shares of all units, told in percent."""
    kind = document.get("metric_type")
    return kind in ("funnel", "retention") or (kind == "mean" and document.get("threshold") is not None)


def method(settings: Mapping[str, Any]) -> str:
    """How effects are inferred, from the `settings` of a results answer."""
    if settings["method"] == "bayesian":
        parts = [f"Bayesian, {figures.rollout(settings['ci_level'] * 100)} credible intervals"]
        if settings["prior"] is not None:
            parts.append("with a prior")
    else:
        kind = "Sequential" if settings["sequential"]["enabled"] else "Frequentist"
        parts = [f"{kind}, {figures.rollout(round((1 - settings['alpha']) * 100, 9))} confidence intervals"]
    parts.append("relative differences" if settings["difference_type"] == "RELATIVE" else "absolute differences")
    if settings["cuped"]["enabled"]:
        parts.append(f"CUPED over {figures.plural(settings['cuped']['lookback_days'], 'day')}")
    if settings["multiplicity"] in CORRECTIONS and settings["method"] == "frequentist":
        parts.append(f"{CORRECTIONS[settings['multiplicity']]} correction")
    return ", ".join(parts)
