"""Events in PostgreSQL: one table, partitioned by UTC month."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import orjson
from django.db import connection

from events.store import partitions
from events.store.base import EventIdentity, EventStore, StoredEvent

_COLUMNS = ", ".join(StoredEvent._fields)
# A table of the connection: no log is written for it, and nobody else sees it.
_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS events_staging (
    uuid uuid, event text, distinct_id text, person_id uuid, timestamp timestamptz, session_id text, flag_key text,
    flag_response text, group_0 text, group_1 text, group_2 text, group_3 text, group_4 text, properties jsonb
) ON COMMIT DELETE ROWS;
DELETE FROM events_staging
"""
# In the order of uuids, so that two batches with the same events wait for each other in one direction only.
_APPEND = f"""
INSERT INTO events_event (project_id, created_at, {_COLUMNS})
SELECT %s, now(), {_COLUMNS} FROM events_staging ORDER BY uuid
ON CONFLICT DO NOTHING
"""
_STORED = """
SELECT asked.timestamp, asked.uuid::text
FROM json_to_recordset(%s::json) AS asked (timestamp timestamptz, uuid uuid)
WHERE EXISTS (
    SELECT FROM events_event events
    WHERE events.project_id = %s AND events.uuid = asked.uuid
      AND events.timestamp >= date_trunc('day', asked.timestamp, 'UTC')
      AND events.timestamp < date_trunc('day', asked.timestamp, 'UTC') + interval '1 day'
      AND (events.timestamp AT TIME ZONE 'UTC')::date = (asked.timestamp AT TIME ZONE 'UTC')::date
)
"""


class PostgresEventStore(EventStore):
    """The default store."""

    def prepare(self, *, times: Iterable[datetime]) -> None:
        partitions.ensure(partitions.month_of(time) for time in times)

    def append(self, *, project_id: int, events: Sequence[StoredEvent]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_STAGING)
            with cursor.copy(f"COPY events_staging ({_COLUMNS}) FROM STDIN") as copy:
                for event in events:
                    copy.write_row(event)
            cursor.execute(_APPEND, [project_id])
            appended: int = cursor.rowcount
            return appended

    def stored(self, *, project_id: int, identities: Collection[EventIdentity]) -> set[EventIdentity]:
        asked = orjson.dumps([{"timestamp": time, "uuid": uuid} for time, uuid in identities]).decode()
        with connection.cursor() as cursor:
            cursor.execute(_STORED, [asked, project_id])
            return {(time, uuid) for time, uuid in cursor.fetchall()}
