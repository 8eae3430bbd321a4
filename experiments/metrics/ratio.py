"""Ratio: the sum of one value over the sum of another."""

from typing import ClassVar, Literal

from common.shapes import Shape
from events.store.measures import Clamp, Ratio, Sums
from experiments.metrics.base import ExperimentMetric, Percentile
from experiments.metrics.nodes import SourceNode
from experiments.metrics.sources import Select, is_of_sessions, value_of
from stats.samples import RatioCovariate, RatioSample, Sample


class OutlierHandling(Shape):
    """Where the extreme values of one side are cut off."""

    lower_bound_percentile: Percentile | None = None
    upper_bound_percentile: Percentile | None = None
    ignore_zeros: bool | None = None

    def clamp(self) -> Clamp:
        """The bounds as the event store takes them."""
        return Clamp(
            lower=self.lower_bound_percentile,
            upper=self.upper_bound_percentile,
            ignore_zeros=bool(self.ignore_zeros),
        )


class RatioMetric(ExperimentMetric):
    """Numerator and denominator are summed per unit before the ratio is taken."""

    node_fields: ClassVar = ("numerator", "denominator")

    metric_type: Literal["ratio"]
    numerator: SourceNode
    denominator: SourceNode
    numerator_outlier_handling: OutlierHandling | None = None
    denominator_outlier_handling: OutlierHandling | None = None

    @property
    def takes_covariate(self) -> bool:
        return not (is_of_sessions(self.numerator) or is_of_sessions(self.denominator))

    def measure(self, select: Select) -> Ratio:
        above, below = self.numerator_outlier_handling, self.denominator_outlier_handling
        return Ratio(
            numerator=value_of(self.numerator, select),
            denominator=value_of(self.denominator, select),
            numerator_clamp=Clamp() if above is None else above.clamp(),
            denominator_clamp=Clamp() if below is None else below.clamp(),
        )

    def sample(self, sums: Sums, *, with_covariate: bool) -> Sample:
        covariate = None
        if with_covariate:
            covariate = RatioCovariate(
                sum=sums.x,
                sum_squares=sums.xx,
                denominator_sum=sums.dx,
                denominator_sum_squares=sums.dxdx,
                numerator_covariate_numerator=sums.xy,
                denominator_covariate_denominator=sums.d_dx,
                covariate_numerator_covariate_denominator=sums.x_dx,
                numerator_covariate_denominator=sums.s_dx,
                denominator_covariate_numerator=sums.d_x,
            )
        return RatioSample(
            n=sums.n,
            sum=sums.s,
            sum_squares=sums.q,
            denominator_sum=sums.d,
            denominator_sum_squares=sums.dd,
            numerator_denominator_sum_product=sums.sd,
            covariate=covariate,
        )
