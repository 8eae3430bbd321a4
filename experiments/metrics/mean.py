"""Mean: one value per unit, averaged over all units."""

from typing import ClassVar, Literal

from events.store.measures import Clamp, Mean, Sums
from experiments.metrics.base import ExperimentMetric, Percentile
from experiments.metrics.nodes import SourceNode
from experiments.metrics.sources import Select, is_of_sessions, value_of
from stats.samples import Covariate, MeanSample, ProportionSample, Sample


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

    @property
    def takes_covariate(self) -> bool:
        return self.threshold is None and not is_of_sessions(self.source)

    def measure(self, select: Select) -> Mean:
        return Mean(
            value=value_of(self.source, select),
            clamp=Clamp(
                lower=self.lower_bound_percentile,
                upper=self.upper_bound_percentile,
                ignore_zeros=bool(self.ignore_zeros),
            ),
            threshold=self.threshold,
        )

    def sample(self, sums: Sums, *, with_covariate: bool) -> Sample:
        if self.threshold is not None:
            return ProportionSample(n=sums.n, sum=sums.s)
        covariate = Covariate(sum=sums.x, sum_squares=sums.xx, product=sums.xy) if with_covariate else None
        return MeanSample(n=sums.n, sum=sums.s, sum_squares=sums.q, covariate=covariate)
