"""What every event store offers."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

# The identity of an event within its project, and the UTC day it is on.
EventIdentity = tuple[datetime, str]


class StoredEvent(NamedTuple):
    """One event as columns. Texts hold no NUL character; `properties` is JSON text."""

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


class EventStore(Protocol):
    """A store of events. A failure of the store is an exception, never an empty answer."""

    def prepare(self, *, times: Iterable[datetime]) -> None:
        """Make room for events of these times. To be called before the transaction that appends them."""

    def append(self, *, project_id: int, events: Sequence[StoredEvent]) -> int:
        """Store events; returns how many. One whose project, UTC day and uuid are stored already is left out.

        Joins the open database transaction where the store can.
        """

    def stored(self, *, project_id: int, identities: Collection[EventIdentity]) -> set[EventIdentity]:
        """Those of `identities` (time and uuid) whose UTC day and uuid are stored."""
