"""Retention: the share of units that come back within a window after they started."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from experiments.metrics.base import ExperimentMetric, NonNegative, WindowUnit
from experiments.metrics.nodes import EventNode


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
