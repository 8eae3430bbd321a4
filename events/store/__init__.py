"""The only door to stored events.

`event_store()` is the configured store. Plans (`events.store.plans`) say what to read; no other module knows how.
"""

from functools import cache

from events.store.base import EventStore, StoredBefore, StoredEvent
from events.store.postgres import PostgresEventStore

__all__ = ["EventStore", "StoredBefore", "StoredEvent", "event_store"]


@cache
def event_store() -> EventStore:
    """The store of this process."""
    return PostgresEventStore()
