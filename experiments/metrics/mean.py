"""Mean: one value per unit, averaged over all units."""

from typing import ClassVar, Literal

from experiments.metrics.base import ExperimentMetric, Percentile
from experiments.metrics.nodes import SourceNode


class MeanMetric(ExperimentMetric):
    """The mean of a value; with a threshold, the share of units whose value reaches it."""

    node_fields: ClassVar = ("source",)

    metric_type: Literal["mean"]
    source: SourceNode
    lower_bound_percentile: Percentile | None = None
    upper_bound_percentile: Percentile | None = None
    ignore_zeros: bool | None = None
    threshold: int | float | None = None

    def _refusal_of_kind(self) -> str | None:
        if self.threshold is None:
            return None
        if self.source.math not in (None, "total", "sum"):
            return "a threshold is only supported for sum or count (total) math types."
        if self.threshold <= 0:
            return "threshold must be a positive number."
        if self.lower_bound_percentile is not None or self.upper_bound_percentile is not None:
            return "a threshold cannot be combined with outlier handling (winsorization)."
        return None
