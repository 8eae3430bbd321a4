"""Funnel: the share of units that take every step after their exposure."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from events.store.measures import Funnel, FunnelOrder, Sums
from experiments.metrics.base import ExperimentMetric
from experiments.metrics.nodes import EventNode
from experiments.metrics.sources import Select
from stats.samples import Covariate, ProportionSample, Sample

# Bounds the work of computing one metric.
MAX_STEPS = 100


class FunnelMetric(ExperimentMetric):
    """The exposure is the step before the first of `series` and never listed in it."""

    node_fields: ClassVar = ("series",)

    metric_type: Literal["funnel"]
    series: Annotated[list[EventNode], Field(max_length=MAX_STEPS, json_schema_extra={"minItems": 1})]
    funnel_order_type: Literal["ordered", "unordered", "strict"] | None = None

    def _refusal_of_kind(self) -> str | None:
        if self.series:
            return None
        return (
            "funnel metrics require at least one step. "
            "The experiment exposure event is added as the initial step automatically."
        )

    @property
    def order(self) -> FunnelOrder:
        return FunnelOrder(self.funnel_order_type or FunnelOrder.ORDERED)

    @property
    def takes_covariate(self) -> bool:
        return self.order is FunnelOrder.ORDERED

    def measure(self, select: Select) -> Funnel:
        return Funnel(steps=tuple(select(node) for node in self.series), order=self.order)

    def sample(self, sums: Sums, *, with_covariate: bool) -> Sample:
        covariate = Covariate(sum=sums.x, sum_squares=sums.xx, product=sums.xy) if with_covariate else None
        return ProportionSample(n=sums.n, sum=sums.s, covariate=covariate)
