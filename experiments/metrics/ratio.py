"""Ratio: the sum of one value over the sum of another."""

from typing import ClassVar, Literal

from common.shapes import Shape
from experiments.metrics.base import ExperimentMetric, Percentile
from experiments.metrics.nodes import SourceNode


class OutlierHandling(Shape):
    """Where the extreme values of one side are cut off."""

    lower_bound_percentile: Percentile | None = None
    upper_bound_percentile: Percentile | None = None
    ignore_zeros: bool | None = None


class RatioMetric(ExperimentMetric):
    """Numerator and denominator are summed per unit before the ratio is taken."""

    node_fields: ClassVar = ("numerator", "denominator")

    metric_type: Literal["ratio"]
    numerator: SourceNode
    denominator: SourceNode
    numerator_outlier_handling: OutlierHandling | None = None
    denominator_outlier_handling: OutlierHandling | None = None
