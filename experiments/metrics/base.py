"""What metrics of every kind have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from common.shapes import Shape
from events.store.measures import Measure, Sums
from experiments.metrics.breakdowns import MAX_BREAKDOWNS, TOO_MANY, BreakdownFilter
from experiments.metrics.sources import Select
from stats.samples import Sample

WindowUnit = Literal["second", "minute", "hour", "day", "week", "month"]
Percentile = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[int, Field(ge=0)]
SECONDS: Mapping[WindowUnit, int] = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 7 * 86400,
    "month": 30 * 86400,
}
# Longer windows never end: no event is that old, and no interval of the database is that long.
LONGEST_WINDOW_SECONDS = 100 * 365 * 86400


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

    @property
    def window_seconds(self) -> int | None:
        """How long after a unit's exposure its events count; None for as long as the experiment runs."""
        if not self.conversion_window or self.conversion_window_unit is None:
            return None
        seconds = self.conversion_window * SECONDS[self.conversion_window_unit]
        return seconds if seconds < LONGEST_WINDOW_SECONDS else None

    @property
    def takes_covariate(self) -> bool:
        """Whether CUPED applies to metrics of this definition."""
        return False

    @abstractmethod
    def measure(self, select: Select) -> Measure:
        """What the event store is to compute. Raises what `select` raises, and NotConnected."""

    @abstractmethod
    def sample(self, sums: Sums, *, with_covariate: bool) -> Sample:
        """An arm's sums as the statistics take them."""
