"""Whose values may have changed since a rollup was made: those of whom anything has been stored since."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

from events.store.conditions import ALWAYS, Statement, moment_of
from events.store.exposures import FLAG_CALL
from events.store.plans import ExposurePlan
from events.store.rollups.plans import depends_on_persons

# Beyond so many, and beyond a tenth of all units where those are more than a FEW, a rollup is of no use: one by one
# persons are read more slowly than all at once.
MOST, FEW = 20_000, 500
_MOST = """
SELECT least(%(most)s, coalesce(greatest(%(few)s, sum((counted ->> 2)::bigint) / 10), %(most)s))::bigint
FROM events_rollup, jsonb_array_elements(by_day) AS days (counted) WHERE id = %(rollup)s
"""
# Events bear the time at which the transaction began that stored them: what began before this has ended, and what it
# stored is seen by a snapshot that is taken afterwards. The minute is for clocks that are set back a little, and for
# the instants until others notice that a transaction has begun.
_SETTLED = """
SELECT least(clock_timestamp(), min(xact_start)) - interval '1 minute' FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type NOT IN ('autovacuum worker', 'walsender')
"""
# All ids, as stored, of the persons: these, and those that others have become part of. Of the persons that do something
# only those matter who have a value already, or may have been exposed now.
_CHANGED = """
WITH touched AS (
    SELECT events.person_id, bool_or({is_exposure}) AS is_exposed FROM events_event events
    WHERE events.project_id = {project} AND events.created_at >= {stored_before} GROUP BY 1
    UNION ALL
    SELECT events.person_id, bool_or({is_exposure}) FROM events_event events
    WHERE events.project_id = {project} AND events.timestamp > {as_of} AND events.timestamp <= {end} GROUP BY 1
    UNION ALL
    SELECT person_id, TRUE FROM events_deletedperson WHERE project_id = {project} AND noted_at >= {stored_before}
), persons AS (
    SELECT coalesce(overrides.person_id, touched.person_id) AS id, bool_or(touched.is_exposed) AS is_exposed
    FROM touched LEFT JOIN events_personoverride overrides
        ON overrides.project_id = {project} AND overrides.old_person_id = touched.person_id
    GROUP BY 1
), ids AS (
    SELECT id AS stored, id, is_exposed FROM persons
    UNION ALL
    SELECT overrides.old_person_id, persons.id, persons.is_exposed FROM persons
    JOIN events_personoverride overrides ON overrides.project_id = {project} AND overrides.person_id = persons.id
), wanted AS (
    SELECT id FROM ids GROUP BY id
    HAVING bool_or(is_exposed OR EXISTS (
        SELECT FROM events_rollupunit kept WHERE kept.rollup_id = {rollup} AND kept.person_id = ids.stored
    ))
)
SELECT ids.stored FROM ids JOIN wanted ON wanted.id = ids.id LIMIT {limit}
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


def changed(plan: ExposurePlan, *, rollup_id: int, stored_before: datetime, as_of: datetime) -> list[UUID] | None:
    """All ids, as stored, of the units whose values may be others by the end of the plan's window than in the rollup.

    None when they are too many.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MOST, {"most": MOST, "few": FEW, "rollup": rollup_id})
        (most,) = cursor.fetchone()
    statement = Statement(moment=moment_of(plan))
    sql = _CHANGED.format(
        is_exposure=_is_exposure(plan, statement),
        project=statement.bind(plan.project_id),
        stored_before=statement.bind(stored_before),
        as_of=statement.bind(as_of),
        end=statement.bind(plan.end),
        rollup=statement.bind(rollup_id),
        limit=statement.bind(most + 1),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        found = [person_id for (person_id,) in cursor.fetchall()]
    return None if len(found) > most else found


def _is_exposure(plan: ExposurePlan, statement: Statement) -> str:
    """A condition that an event meets which exposes a person that was not exposed before."""
    if depends_on_persons(plan):
        # Any event may bring the property with which earlier events begin to count.
        return ALWAYS
    if plan.selection is None:
        return f"events.event = '{FLAG_CALL}' AND events.flag_key = {statement.bind(plan.flag_key)}"
    names = [step.event for step in plan.selection.steps]
    return ALWAYS if None in names else f"events.event = ANY({statement.bind(names)})"


def note(*, project_id: int, person_ids: Collection[UUID]) -> None:
    """See `EventStore.note_deleted_persons`."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [project_id, list(person_ids)])


def forget_notes() -> None:
    """Remove the notes that every rollup knows of."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_NOTES)
