"""What every event store offers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from events.store.measures import Actors, AggregatePlan, Aggregates, RollupPlan
from events.store.plans import ExposurePlan, PersonsPlan, RowsPlan, Selection

# The identity of an event within its project, and the UTC day it is on.
EventIdentity = tuple[datetime, str]
# The arm of those who saw several variants.
MULTIPLE = "$multiple"


class StoreTimeout(Exception):
    """A statement took longer than it may and was cancelled."""


class StoredBefore(Exception):
    """An event that was taken to be new is stored already. The transaction around it is of no more use."""


class StoredEvent(NamedTuple):
    """One event as columns. Times are in UTC, texts hold no NUL character; `properties` is JSON text."""

    uuid: str
    event: str
    distinct_id: str
    person_id: UUID
    timestamp: datetime
    session_id: str | None
    flag_key: str | None
    flag_response: str | None
    group_0: str | None
    group_1: str | None
    group_2: str | None
    group_3: str | None
    group_4: str | None
    properties: str


class EventRow(NamedTuple):
    """One event of a list; `person_id` after all merges, `properties` as JSON text."""

    uuid: UUID
    event: str
    distinct_id: str
    person_id: UUID
    timestamp: datetime
    properties: str


@dataclass(frozen=True, slots=True)
class Exposures:
    """Units by arm and day of first exposure. Arms are variants and, under `exclude`, MULTIPLE."""

    by_day: dict[tuple[str, date], int] = field(default_factory=dict)

    def total(self, arm: str) -> int:
        return sum(units for (name, _), units in self.by_day.items() if name == arm)


class ExposedUnits(Protocol):
    """The units of one exposure plan, found once for all measures. Of use until its snapshot ends."""

    @property
    def is_precomputed(self) -> bool:
        """Whether the exposures come from something kept in advance."""

    def is_precomputed_for(self, plan: AggregatePlan) -> bool:
        """Whether the sums of a measure, which have been asked for, come from something kept in advance."""

    def by_day(self) -> Exposures:
        """How many units were exposed, by arm and day."""

    def expect(self, plans: Sequence[AggregatePlan]) -> None:
        """Prepare for these plans, which are asked for afterwards. Answers are the same without it, only later."""

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        """The sums of a measure, by breakdown values and arm; an arm without units is missing."""

    def actors(self, plan: AggregatePlan, *, values: Collection[tuple[str, ...]] | None = None) -> Actors:
        """Of a funnel, per breakdown values (None: all) and arm: up to 100 units whose furthest step is each step."""


class EventStore(Protocol):
    """A store of events. A failure of the store is an exception, never an empty answer."""

    def prepare(self, *, times: Iterable[datetime]) -> None:
        """Make room for events of these times. To be called before the transaction that appends them."""

    def append(self, *, project_id: int, events: Iterable[StoredEvent]) -> int:
        """Store events; returns how many. One whose project, UTC day and uuid are stored already is left out.

        Joins the open database transaction where the store can.
        """

    def append_new(self, *, project_id: int, events: Iterable[StoredEvent]) -> int:
        """The same for events that come in the order of their uuids and are likely to be new; made as they are read.

        Raises StoredBefore when one is not new.
        """

    def stored(self, *, project_id: int, identities: Collection[EventIdentity]) -> set[EventIdentity]:
        """Those of `identities` (time and uuid) whose UTC day and uuid are stored."""

    def snapshot(self, *, timeout_seconds: float) -> AbstractContextManager[None]:
        """Everything read inside sees one state of the data; each statement is cancelled at the limit.

        Raises StoreTimeout when one was.
        """

    def rows(self, plan: RowsPlan) -> list[EventRow]:
        """The events of a list, in its order."""

    def persons(self, plan: PersonsPlan) -> Iterator[UUID]:
        """The ids, after all merges, of the persons with matching events; each once."""

    def exposures(self, plan: ExposurePlan) -> Exposures:
        """How many units were exposed, by arm and day."""

    def expose(self, plan: ExposurePlan, *, preaggregated_for: int | None = None) -> ExposedUnits:
        """Find the exposed units. To be called inside a snapshot.

        With the id of an experiment what is kept for it in advance is used as far as it goes; the numbers are the same.
        """

    def preaggregate(self, plans: Mapping[int, ExposurePlan], *, timeout_seconds: float) -> int:
        """Keep the exposures of these experiments (by id) in advance and up to date, and those of no other.

        Returns how much was done, 0 when there was nothing to do. Idempotent, and safe to interrupt.
        """

    def roll_up(self, plans: Mapping[int, RollupPlan], *, timeout_seconds: float) -> int:
        """Keep the values of these experiments' units (by id of the experiment) in advance, and those of no other.

        Returns how many experiments are up to date now. Idempotent, and safe to interrupt.
        """

    def note_deleted_persons(self, *, project_id: int, person_ids: Collection[UUID]) -> None:
        """To be called in the transaction that deletes persons (uuids), or parts them, and leaves events of theirs.

        Whatever else changes a person is an event of its own.
        """

    def last_flag_calls(self, *, project_id: int, flag_keys: Collection[str]) -> dict[str, datetime]:
        """The time of the newest call of each flag that was ever called."""

    def any_property_with_prefix(self, *, project_id: int, selection: Selection, since: datetime, prefix: str) -> bool:
        """Whether a sample of the matching events since then holds one with a property whose name begins so."""

    def delete_persons(self, *, project_id: int, person_ids: Collection[UUID], before: datetime) -> int:
        """Remove the events of these persons (ids as stored) that were stored before the moment; returns how many."""

    def drop_before(self, cut: datetime) -> Any:
        """Remove the months that lie wholly before `cut`, of all projects."""
