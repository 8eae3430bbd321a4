"""Which days of pre-aggregated exposures have changed since: noted in the transaction of the change.

The order of locks makes it sure. A writer takes its project's lock together with other writers, until its transaction
ends, and then looks which days are aggregated. The job that is about to aggregate a day says so under the same lock,
alone: the events of writers before it are committed and seen by the job, and writers after it see what it said.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import connection, transaction

# How long writers may have to wait for the job, which waits for writers before them.
LOCK_TIMEOUT = "2s"
_KEY = "hashtextextended('events of project ' || %s, 0)"
_LOCK_WITH_OTHERS = f"SELECT pg_advisory_xact_lock_shared({_KEY})"
_LOCK_ALONE = f"SELECT pg_advisory_xact_lock({_KEY})"
_NOTE = """
INSERT INTO events_changedday (project_id, day)
SELECT project_id, day FROM events_aggregatedday WHERE project_id = %s AND day = ANY(%s)
"""
_ANNOUNCE = """
INSERT INTO events_aggregatedday (project_id, day)
SELECT %s, day FROM unnest(%s::date[]) AS days (day)
ON CONFLICT DO NOTHING
"""
_UNKNOWN = """
SELECT day FROM unnest(%s::date[]) AS days (day)
WHERE NOT EXISTS (SELECT FROM events_aggregatedday known WHERE known.project_id = %s AND known.day = days.day)
"""
_DELETE_OF_PERSONS = """
DELETE FROM events_preaggregatedexposure rows
USING events_exposurewindow windows, events_exposureaggregation aggregations
WHERE rows.window_id = windows.id AND aggregations.id = windows.aggregation_id AND aggregations.project_id = %s
  AND rows.person_id = ANY(%s)
  AND EXISTS (SELECT FROM unnest(%s::date[]) AS days (day) WHERE day BETWEEN windows.first_day AND windows.last_day)
"""


def day_of(time: datetime) -> date:
    """The UTC day of a time."""
    return time.astimezone(UTC).date()


def note(*, project_id: int, days: Collection[date]) -> None:
    """To be called in the transaction that has changed events of these days, before it ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_WITH_OTHERS, [project_id])
        # A statement of its own, so that it sees what was committed while the lock was waited for.
        cursor.execute(_NOTE, [project_id, list(days)])


def forget_persons(*, project_id: int, person_ids: Collection[UUID], days: Collection[date]) -> None:
    """Remove the rows of persons (ids as stored) from the windows of noted days: those are not read any more."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE_OF_PERSONS, [project_id, list(person_ids), list(days)])


def announce(*, project_id: int, days: Collection[date]) -> None:
    """Say that these days are going to be aggregated, and wait until every change that does not know it is committed.

    Raises django.db.OperationalError when the writers before take too long.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, [list(days), project_id])
        unknown = [day for (day,) in cursor.fetchall()]
    if not unknown:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute(_LOCK_ALONE, [project_id])
        cursor.execute(_ANNOUNCE, [project_id, unknown])
