"""What to compute of exposed units: frozen values without SQL, the same for every store."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from events.store.plans import ExposurePlan, Selection


class Math(StrEnum):
    """How the matching rows of a unit become one value."""

    TOTAL = "total"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    AVG = "avg"
    UNIQUE_SESSION = "unique_session"
    DAU = "dau"
    UNIQUE_GROUP = "unique_group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A unit's value. `of_sessions`: not rows are taken but the durations, in seconds, of the sessions they lie in."""

    selection: Selection
    math: Math
    property: str | None = None
    of_sessions: bool = False
    group_type_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """Winsorising: order statistics of the pool of all units that bound each value; None leaves that side open."""

    lower: float | None = None
    upper: float | None = None
    ignore_zeros: bool = False

    @property
    def is_open(self) -> bool:
        return self.lower is None and self.upper is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """One value a unit; with a threshold whether it is reached."""

    value: Value
    clamp: Clamp = Clamp()
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Two values a unit."""

    numerator: Value
    denominator: Value
    numerator_clamp: Clamp = Clamp()
    denominator_clamp: Clamp = Clamp()


class FunnelOrder(StrEnum):
    ORDERED = "ordered"
    STRICT = "strict"
    UNORDERED = "unordered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """The furthest step a unit reaches; the exposure is step 0."""

    steps: tuple[Selection, ...]
    order: FunnelOrder = FunnelOrder.ORDERED


class RetentionUnit(StrEnum):
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Whether a unit that started came back between `first` and `last` units later, both ends inclusive."""

    start: Selection
    completion: Selection
    first: int
    last: int
    unit: RetentionUnit
    anchored_at_last: bool = False

    @property
    def comes_back_later(self) -> bool:
        """Whether a completion is later than the start, so that it is another event in any case."""
        return self.first > 0


Measure = Mean | Ratio | Funnel | Retention


def values_of(measure: Measure) -> list[Value]:
    """The values that a unit has in a measure: of a mean one, of a ratio two."""
    if isinstance(measure, Mean):
        return [measure.value]
    return [measure.numerator, measure.denominator] if isinstance(measure, Ratio) else []


def selections_of(measure: Measure) -> list[Selection]:
    """All events that a measure looks at."""
    if isinstance(measure, Funnel):
        return list(measure.steps)
    if isinstance(measure, Retention):
        return [measure.start, measure.completion]
    return [value.selection for value in values_of(measure)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A property of the first exposure's event, or of the person."""

    property: str
    of_person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatePlan:
    """A measure over the units of `exposure`.

    `window_seconds`: how long after a unit's exposure its rows count. `matured_only` leaves out units whose window
    had not ended by `exposure.end`. `lookback_seconds`: how far before the exposure covariates reach; None: none are
    asked for.
    """

    exposure: ExposurePlan
    measure: Measure
    window_seconds: int | None = None
    matured_only: bool = False
    lookback_seconds: int | None = None
    breakdowns: tuple[Breakdown, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupPlan:
    """What is to be kept in advance of one experiment: its units, and these measures of them, as far as can be."""

    exposure: ExposurePlan
    measures: tuple[AggregatePlan, ...]


@dataclass(slots=True, kw_only=True)
class Sums:
    """The sufficient statistics of one arm. For ratio and retention n, s and q are those of the numerator.

    x and y: lookback value (of a ratio its numerator) and value; d, dx: denominator and lookback denominator.
    """

    n: int = 0
    s: float = 0
    q: float = 0
    d: float = 0
    dd: float = 0
    sd: float = 0
    x: float = 0
    xx: float = 0
    xy: float = 0
    dx: float = 0
    dxdx: float = 0
    d_dx: float = 0
    x_dx: float = 0
    s_dx: float = 0
    d_x: float = 0
    step_counts: list[int] = field(default_factory=list)


# Per breakdown values (empty without a breakdown) and arm.
Aggregates = dict[tuple[tuple[str, ...], str], Sums]


class Actor(NamedTuple):
    """A unit of a sample: the event that took it to its furthest step, and whose event that is after all merges."""

    person_id: UUID
    session_id: str | None
    event_uuid: UUID
    timestamp: datetime


# Per breakdown values and arm, and then per step from 0 (exposed only) to the last.
Actors = dict[tuple[tuple[str, ...], str], list[list[Actor]]]
NO_BREAKDOWN_VALUE = "$$_posthog_breakdown_null_$$"
