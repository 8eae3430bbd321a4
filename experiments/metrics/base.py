"""What metrics of every kind have in common."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from common.shapes import Shape
from experiments.metrics.breakdowns import MAX_BREAKDOWNS, TOO_MANY, BreakdownFilter

WindowUnit = Literal["second", "minute", "hour", "day", "week", "month"]
Percentile = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[int, Field(ge=0)]


class ExperimentMetric(Shape):
    """One metric. `node_fields` names the fields that hold its source nodes, alone or in a list."""

    node_fields: ClassVar[tuple[str, ...]]

    kind: Literal["ExperimentMetric"]
    uuid: str | None = None
    name: str | None = None
    goal: Literal["increase", "decrease"] | None = None
    conversion_window: NonNegative | None = None
    conversion_window_unit: WindowUnit | None = None
    fingerprint: str | None = None
    isSharedMetric: bool | None = None
    sharedMetricId: int | None = None
    breakdownFilter: BreakdownFilter | None = None
    version: int | float | None = None
    response: dict[str, Any] | None = None

    def refusal(self) -> str | None:
        """Why this metric cannot be accepted although its fields are well formed; None when it can."""
        reason = self._refusal_of_kind()
        if reason is not None:
            return reason
        breakdowns = self.breakdownFilter.breakdowns if self.breakdownFilter else None
        return TOO_MANY if breakdowns is not None and len(breakdowns) > MAX_BREAKDOWNS else None

    def _refusal_of_kind(self) -> str | None:
        return None
