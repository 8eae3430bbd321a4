"""Whose values may have changed since a rollup was made: those of whom anything has been stored since."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

# Beyond so many a rollup is of no more use than none.
MOST = 20_000
# Events bear the time at which the transaction began that stored them: what began before this has ended, and what it
# stored is seen by a snapshot that is taken afterwards. The minute is for clocks that are set back a little, and for
# the instants until others notice that a transaction has begun.
_SETTLED = """
SELECT least(clock_timestamp(), min(xact_start)) - interval '1 minute' FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# All ids, as stored, of the persons: those that others have become part of, and these.
_CHANGED = """
WITH touched AS (
    SELECT person_id FROM events_event WHERE project_id = %(project)s AND created_at >= %(stored_before)s
    UNION
    SELECT person_id FROM events_event
    WHERE project_id = %(project)s AND timestamp > %(as_of)s AND timestamp <= %(end)s
    UNION
    SELECT person_id FROM events_deletedperson WHERE project_id = %(project)s AND noted_at >= %(stored_before)s
), persons AS (
    SELECT coalesce(overrides.person_id, touched.person_id) AS id FROM touched
    LEFT JOIN events_personoverride overrides
        ON overrides.project_id = %(project)s AND overrides.old_person_id = touched.person_id
)
SELECT id FROM persons
UNION
SELECT overrides.old_person_id FROM persons
JOIN events_personoverride overrides ON overrides.project_id = %(project)s AND overrides.person_id = persons.id
LIMIT %(limit)s
"""
_NOTE = "INSERT INTO events_deletedperson (project_id, person_id) SELECT %s, unnest(%s::uuid[])"
_FORGET_NOTES = """
DELETE FROM events_deletedperson WHERE noted_at < coalesce((SELECT min(stored_before) FROM events_rollup), now())
"""


def settled() -> datetime:
    """A moment before which everything stored is committed. To be asked before the snapshot that is to see it."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED)
        (moment,) = cursor.fetchone()
        found: datetime = moment
        return found


def changed(*, project_id: int, stored_before: datetime, as_of: datetime, end: datetime) -> list[UUID] | None:
    """All ids, as stored, of the persons of whom something is new up to `end`; None when they are too many."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CHANGED,
            {
                "project": project_id,
                "stored_before": stored_before,
                "as_of": as_of,
                "end": end,
                "limit": MOST + 1,
            },
        )
        found = [person_id for (person_id,) in cursor.fetchall()]
    return None if len(found) > MOST else found


def note(*, project_id: int, person_ids: Collection[UUID]) -> None:
    """To be called in the transaction that deletes persons without their events."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [project_id, list(person_ids)])


def forget_notes() -> None:
    """Remove the notes that every rollup knows of."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_NOTES)
