"""Retention: the share of units that come back within a window after they started."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from events.store.measures import Retention, RetentionUnit, Sums
from experiments.metrics.base import LONGEST_WINDOW_SECONDS, SECONDS, ExperimentMetric, NonNegative, WindowUnit
from experiments.metrics.nodes import EventNode
from experiments.metrics.sources import Select
from stats.samples import RatioSample, Sample


class RetentionMetric(ExperimentMetric):
    """Both ends of the window count from the start event and belong to it."""

    node_fields: ClassVar = ("start_event", "completion_event")

    metric_type: Literal["retention"]
    start_event: EventNode
    completion_event: EventNode
    retention_window_start: NonNegative
    retention_window_end: NonNegative
    retention_window_unit: WindowUnit
    start_handling: Literal["first_seen", "last_seen"]

    @model_validator(mode="after")
    def _window_ends_after_it_starts(self) -> Self:
        if self.retention_window_end < self.retention_window_start:
            raise PydanticCustomError("window", "retention_window_end should not be less than retention_window_start")
        return self

    def measure(self, select: Select) -> Retention:
        most = LONGEST_WINDOW_SECONDS // SECONDS[self.retention_window_unit]
        return Retention(
            start=select(self.start_event),
            completion=select(self.completion_event),
            first=min(self.retention_window_start, most),
            last=min(self.retention_window_end, most),
            unit=RetentionUnit(self.retention_window_unit),
            anchored_at_last=self.start_handling == "last_seen",
        )

    def sample(self, sums: Sums, *, with_covariate: bool) -> Sample:
        return RatioSample(
            n=sums.n,
            sum=sums.s,
            sum_squares=sums.q,
            denominator_sum=sums.d,
            denominator_sum_squares=sums.dd,
            numerator_denominator_sum_product=sums.sd,
        )
