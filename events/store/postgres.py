"""Events in PostgreSQL: one table, partitioned by UTC month."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import IntegrityError, connection

from events.store import base, changed_days, exposures, partitions, preaggregation
from events.store.base import EventIdentity, EventRow, EventStore, Exposures, StoredBefore, StoredEvent
from events.store.conditions import Statement, all_of, moment_in, moment_of
from events.store.measures import RollupPlan
from events.store.plans import ExposurePlan, PersonsPlan, RowsPlan, Selection
from events.store.rollups import changes
from events.store.rollups import job as rollups
from events.store.rollups.reading import RolledUpUnits
from events.store.snapshots import snapshot
from events.store.units import ExposedUnits

_COLUMNS = ", ".join(StoredEvent._fields)
# A table of the connection: no log is written for it, and nobody else sees it.
_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS events_staging (
    uuid uuid, event text, distinct_id text, person_id uuid, timestamp timestamptz, session_id text, flag_key text,
    flag_response text, group_0 text, group_1 text, group_2 text, group_3 text, group_4 text, properties jsonb
) ON COMMIT DELETE ROWS;
DELETE FROM events_staging
"""
_APPEND = f"""
INSERT INTO events_event (project_id, {_COLUMNS})
SELECT %s, {_COLUMNS} FROM events_staging ORDER BY uuid
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
_LAST_CALLS = """
SELECT asked.key, calls.timestamp
FROM unnest(%s::text[]) AS asked (key)
CROSS JOIN LATERAL (
    SELECT timestamp FROM events_event
    WHERE project_id = %s AND event = '$feature_flag_called' AND flag_key = asked.key
    ORDER BY timestamp DESC LIMIT 1
) AS calls
"""
# Rows of UTC day and number of events.
_DELETE_PERSONS = """
WITH deleted AS (
    DELETE FROM events_event WHERE project_id = %s AND person_id = ANY(%s) AND created_at < %s RETURNING timestamp
)
SELECT (timestamp AT TIME ZONE 'UTC')::date, count(*) FROM deleted GROUP BY 1
"""
_PREFIX_SAMPLE = 1000
_COUNTS = {"exact": "=", "gte": ">=", "lte": "<="}
_ROWS_AT_ONCE = 10_000


class PostgresEventStore(EventStore):
    """The default store."""

    def prepare(self, *, times: Iterable[datetime]) -> None:
        partitions.ensure(partitions.month_of(time) for time in times)

    def append(self, *, project_id: int, events: Iterable[StoredEvent]) -> int:
        days: set[date] = set()
        with connection.cursor() as cursor:
            cursor.execute(_STAGING)
            _copy(f"events_staging ({_COLUMNS})", _noting(events, days))
            cursor.execute(_APPEND, [project_id])
            appended: int = cursor.rowcount
        changed_days.note(project_id=project_id, days=days)
        return appended

    def append_new(self, *, project_id: int, events: Iterable[StoredEvent]) -> int:
        days: set[date] = set()
        # The order lets two batches with the same events wait for each other in one direction only.
        try:
            appended = _copy(
                f"events_event (project_id, {_COLUMNS})", ((project_id, *event) for event in _noting(events, days))
            )
        except IntegrityError as error:
            raise StoredBefore from error
        changed_days.note(project_id=project_id, days=days)
        return appended

    def stored(self, *, project_id: int, identities: Collection[EventIdentity]) -> set[EventIdentity]:
        asked = orjson.dumps([{"timestamp": time, "uuid": uuid} for time, uuid in identities]).decode()
        with connection.cursor() as cursor:
            cursor.execute(_STORED, [asked, project_id])
            return {(time, uuid) for time, uuid in cursor.fetchall()}

    def snapshot(self, *, timeout_seconds: float) -> AbstractContextManager[None]:
        return snapshot(timeout_seconds=timeout_seconds)

    def rows(self, plan: RowsPlan) -> list[EventRow]:
        statement = Statement(moment=moment_in(plan.zone))
        conditions = [
            f"events.project_id = {statement.bind(plan.project_id)}",
            *_narrowings(plan, statement),
            statement.selection(plan.selection),
        ]
        direction = "DESC" if plan.newest_first else "ASC"
        sql = f"""
            SELECT events.uuid, events.event, events.distinct_id, coalesce(overrides.person_id, events.person_id),
                   events.timestamp, events.properties::text
            FROM events_event events
            {statement.joins(with_overrides=True)}
            WHERE {all_of(conditions)}
            ORDER BY events.timestamp {direction}, events.uuid {direction}
            LIMIT {statement.bind(plan.limit)}
        """
        return [EventRow(*row) for row in _fetch(sql, statement)]

    def persons(self, plan: PersonsPlan) -> Iterator[UUID]:
        statement = Statement(moment=moment_in(plan.zone))
        conditions = [f"events.project_id = {statement.bind(plan.project_id)}"]
        if plan.start is not None:
            conditions.append(f"events.timestamp >= {statement.bind(plan.start)}")
        if plan.end is not None:
            conditions.append(f"events.timestamp <= {statement.bind(plan.end)}")
        conditions.append(statement.selection(plan.selection))
        having = ""
        if plan.count is not None:
            having = f"HAVING count(*) {_COUNTS[plan.count.operator]} {statement.bind(plan.count.times)}"
        sql = f"""
            SELECT coalesce(overrides.person_id, events.person_id)
            FROM events_event events
            {statement.joins(with_overrides=True)}
            WHERE {all_of(conditions)}
            GROUP BY 1 {having}
        """
        with connection.cursor() as cursor:
            cursor.execute(sql, statement.parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from (person_id for (person_id,) in rows)

    def exposures(self, plan: ExposurePlan) -> Exposures:
        statement = Statement(moment=moment_of(plan))
        found = _fetch(exposures.by_day(plan, statement), statement)
        return Exposures(by_day={(arm, day): units for arm, day, units in found})

    def expose(self, plan: ExposurePlan, *, preaggregated_for: int | None = None) -> base.ExposedUnits:
        if preaggregated_for is None:
            return ExposedUnits(plan)
        rolled_up = RolledUpUnits.found(plan, experiment_id=preaggregated_for)
        if rolled_up is not None:
            return rolled_up
        return ExposedUnits(plan, kept=preaggregation.kept(plan, experiment_id=preaggregated_for))

    def preaggregate(self, plans: Mapping[int, ExposurePlan], *, timeout_seconds: float) -> int:
        return preaggregation.bring_up_to_date(plans, timeout_seconds=timeout_seconds)

    def roll_up(self, plans: Mapping[int, RollupPlan], *, timeout_seconds: float) -> int:
        return rollups.bring_up_to_date(plans, timeout_seconds=timeout_seconds)

    def note_deleted_persons(self, *, project_id: int, person_ids: Collection[UUID]) -> None:
        changes.note(project_id=project_id, person_ids=person_ids)

    def last_flag_calls(self, *, project_id: int, flag_keys: Collection[str]) -> dict[str, datetime]:
        with connection.cursor() as cursor:
            cursor.execute(_LAST_CALLS, [list(flag_keys), project_id])
            return dict(cursor.fetchall())

    def any_property_with_prefix(self, *, project_id: int, selection: Selection, since: datetime, prefix: str) -> bool:
        statement = Statement(moment=moment_in("UTC"))
        conditions = all_of(
            [
                f"events.project_id = {statement.bind(project_id)}",
                f"events.timestamp >= {statement.bind(since)}",
                statement.selection(selection),
            ]
        )
        sql = f"""
            SELECT EXISTS (
                SELECT FROM (
                    SELECT events.properties FROM events_event events
                    {statement.joins(with_overrides=False)}
                    WHERE {conditions}
                    ORDER BY events.timestamp DESC LIMIT {statement.bind(_PREFIX_SAMPLE)}
                ) AS sample, jsonb_object_keys(sample.properties) AS keys (key)
                WHERE starts_with(keys.key, {statement.bind(prefix)})
            )
        """
        return bool(_fetch(sql, statement)[0][0])

    def delete_persons(self, *, project_id: int, person_ids: Collection[UUID], before: datetime) -> int:
        rollups.wait()
        with connection.cursor() as cursor:
            cursor.execute(_DELETE_PERSONS, [project_id, list(person_ids), before])
            found = dict(cursor.fetchall())
        if found:
            changed_days.note(project_id=project_id, days=found)
            changed_days.forget_persons(project_id=project_id, person_ids=person_ids, days=found)
            rollups.forget_project(project_id)
        return sum(found.values())

    def drop_before(self, cut: datetime) -> list[str]:
        return partitions.drop_before(cut, forget=rollups.forget_all)


def _copy(target: str, rows: Iterable[Sequence[Any]]) -> int:
    # Django translates the errors of its own methods only.
    with connection.wrap_database_errors, connection.cursor() as cursor:
        with cursor.copy(f"COPY {target} FROM STDIN") as copy:
            # While PostgreSQL stores the first rows, the next ones are made.
            for row in rows:
                copy.write_row(row)
        copied: int = cursor.rowcount
        return copied


def _noting(events: Iterable[StoredEvent], days: set[date]) -> Iterator[StoredEvent]:
    """The events, each of whose days is added to `days` as it goes by."""
    for event in events:
        days.add(event.timestamp.date())
        yield event


def _fetch(sql: str, statement: Statement) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _narrowings(plan: RowsPlan, statement: Statement) -> Iterator[str]:
    if plan.uuid is not None:
        yield f"events.uuid = {statement.bind(plan.uuid)}"
    if plan.event is not None:
        yield f"events.event = {statement.bind(plan.event)}"
    if plan.distinct_id is not None:
        yield f"events.distinct_id = {statement.bind(plan.distinct_id)}"
    if plan.person_id is not None:
        # The ids as stored, so that their index serves.
        person, project = statement.bind(plan.person_id), statement.bind(plan.project_id)
        yield f"""events.person_id = ANY(ARRAY(
            SELECT {person}::uuid UNION ALL
            SELECT old_person_id FROM events_personoverride WHERE project_id = {project} AND person_id = {person}
        ))"""
    if plan.after is not None:
        yield f"events.timestamp > {statement.bind(plan.after)}"
    if plan.before is not None:
        yield f"events.timestamp < {statement.bind(plan.before)}"
    if plan.behind is not None:
        time, uuid = (statement.bind(part) for part in plan.behind)
        sign = "<" if plan.newest_first else ">"
        # The first half alone lets the index on time serve.
        yield f"events.timestamp {sign}= {time}"
        yield f"(events.timestamp, events.uuid) {sign} ({time}, {uuid})"
