"""Exposures kept in advance: per person (as known at ingest) or group and variant, the first row of some days.

Windows are the weeks from Monday to Sunday (UTC), without the days that have not ended. What may change without a
change to the events (merges, properties of persons, cohorts, which variants count and how) is looked at when the rows
are read; days whose events changed are read from the events until the job has aggregated them anew. So an answer is
the same with these rows as without them, at every moment.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from django.db import OperationalError, connection, transaction

from common.instants import Moment
from events.store import changed_days, exposures
from events.store.base import StoreTimeout
from events.store.conditions import Statement, all_of
from events.store.digests import digest_of
from events.store.jobs import alone
from events.store.limits import time_limit
from events.store.plans import (
    CohortCondition,
    Condition,
    ExposurePlan,
    MultipleVariants,
    Selection,
    Subject,
)

logger = logging.getLogger(__name__)

WINDOW_DAYS = 7
# Changed whenever the same events would give other rows.
_VERSION = 1
_INSTANT = timedelta(microseconds=1)
_JOB = "events preaggregation"

_WINDOWS = """
SELECT windows.id, windows.first_day, windows.last_day
FROM events_exposureaggregation aggregations
JOIN events_exposurewindow windows ON windows.aggregation_id = aggregations.id
WHERE aggregations.experiment_id = %s AND aggregations.project_id = %s AND aggregations.digest = %s
  AND NOT EXISTS (
      SELECT FROM events_changedday changed
      WHERE changed.project_id = aggregations.project_id
        AND changed.day BETWEEN windows.first_day AND windows.last_day
  )
ORDER BY windows.first_day
"""
_DROP_CHANGED = """
WITH changed AS (
    DELETE FROM events_changedday RETURNING project_id, day
), stale AS (
    DELETE FROM events_exposurewindow windows USING events_exposureaggregation aggregations
    WHERE aggregations.id = windows.aggregation_id AND EXISTS (
        SELECT FROM changed
        WHERE changed.project_id = aggregations.project_id
          AND changed.day BETWEEN windows.first_day AND windows.last_day
    )
    RETURNING windows.id
)
DELETE FROM events_preaggregatedexposure WHERE window_id IN (SELECT id FROM stale)
"""
_FORGET = """
WITH kept AS (
    SELECT * FROM json_to_recordset(%s::json) AS kept (experiment_id bigint, digest text)
), unwanted AS (
    SELECT id FROM events_exposureaggregation
    WHERE (experiment_id, digest) NOT IN (SELECT experiment_id, digest FROM kept)
), windows AS (
    DELETE FROM events_exposurewindow WHERE aggregation_id IN (SELECT id FROM unwanted) RETURNING id
), rows AS (
    DELETE FROM events_preaggregatedexposure WHERE window_id IN (SELECT id FROM windows)
)
DELETE FROM events_exposureaggregation WHERE id IN (SELECT id FROM unwanted)
"""
_FORGET_DAYS = """
DELETE FROM events_aggregatedday WHERE project_id NOT IN (SELECT project_id FROM events_exposureaggregation)
"""
_KEEP = """
INSERT INTO events_exposureaggregation (project_id, experiment_id, digest) VALUES (%s, %s, %s)
ON CONFLICT (experiment_id, digest) DO NOTHING
"""
_ID = "SELECT id FROM events_exposureaggregation WHERE experiment_id = %s AND digest = %s"
_KNOWN = "SELECT first_day, last_day FROM events_exposurewindow WHERE aggregation_id = %s"
_REPLACE = """
WITH before AS (
    DELETE FROM events_exposurewindow WHERE aggregation_id = %s AND last_day >= %s AND first_day <= %s RETURNING id
)
DELETE FROM events_preaggregatedexposure WHERE window_id IN (SELECT id FROM before)
"""
_OPEN = """
INSERT INTO events_exposurewindow (aggregation_id, first_day, last_day) VALUES (%s, %s, %s) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The windows that serve a plan, and the times they cover: each from its first instant to before its last."""

    windows: tuple[int, ...]
    spans: tuple[tuple[datetime, datetime], ...]
    # What of the plan is looked at when the rows are read.
    conditions: tuple[Condition, ...]

    def gaps(self, plan: ExposurePlan) -> list[tuple[datetime, datetime]]:
        """The rest of the plan's window, both ends of each part included."""
        found = []
        begin = plan.start
        for first, behind in self.spans:
            if begin < first:
                found.append((begin, first - _INSTANT))
            begin = behind
        if begin <= plan.end:
            found.append((begin, plan.end))
        return found


@dataclass(frozen=True, slots=True)
class _Split:
    """A plan as its rows are kept, and the conditions that are left for the reading."""

    plan: ExposurePlan
    reading: tuple[Condition, ...]

    @property
    def digest(self) -> str:
        return digest_of([_VERSION, asdict(self.plan)])


def kept(plan: ExposurePlan, *, experiment_id: int) -> Kept | None:
    """What is kept of the plan's rows in this snapshot; None when nothing is, or when it cannot be used."""
    split = _split(plan)
    if split is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_WINDOWS, [experiment_id, plan.project_id, split.digest])
        found = [(number, max(_midnight(first), plan.start), _midnight(last + timedelta(days=1)))
                 for number, first, last in cursor.fetchall()]  # fmt: skip
    used = [row for row in found if row[2] <= plan.end]
    if not used:
        return None
    return Kept(
        windows=tuple(number for number, _, _ in used),
        spans=tuple((first, behind) for _, first, behind in used),
        conditions=split.reading,
    )


def kept_rows(plan: ExposurePlan, rows: Kept, statement: Statement) -> str:
    """The kept rows as rows of unit, time, uuid and variant: of several of a unit and variant only the first."""
    part = statement.part()
    unit = "coalesce(overrides.person_id, events.person_id)" if plan.unit_group is None else "events.group_key"
    conditions = [
        f"events.variant = ANY({part.bind(list(plan.variants))})",
        *(part.condition(condition) for condition in rows.conditions),
    ]
    return f"""
        SELECT {unit} AS unit, events.first_time AS time, events.first_uuid AS uuid, events.variant
        FROM (
            SELECT {part.bind(plan.project_id)}::bigint AS project_id, rows.* FROM events_preaggregatedexposure rows
            WHERE rows.window_id = ANY({part.bind(list(rows.windows))})
        ) AS events
        {part.joins(with_overrides=plan.unit_group is None)}
        WHERE {all_of(conditions)}
    """


def _split(plan: ExposurePlan) -> _Split | None:
    """None when the rows of the plan depend on more than their events."""
    selection = plan.selection
    if plan.activation is not None:
        return None
    steps = () if selection is None else selection.steps
    if not all(_is_fixed(condition) for step in steps for condition in step.conditions):
        return None
    kept_conditions: list[Condition] = []
    reading: list[Condition] = []
    for condition in (*plan.test_account_conditions, *(() if selection is None else selection.conditions)):
        if _is_fixed(condition):
            kept_conditions.append(condition)
        elif plan.unit_group is None and _is_of_person(condition):
            reading.append(condition)
        else:
            return None
    return _Split(
        plan=replace(
            plan,
            variants=(),
            end=plan.start,
            zone="UTC",
            handling=MultipleVariants.EXCLUDE,
            selection=None if selection is None else Selection(steps=steps),
            test_account_conditions=tuple(kept_conditions),
        ),
        reading=tuple(reading),
    )


def _is_fixed(condition: Condition) -> bool:
    """Whether an event meets the condition for ever or never. Dates may be relative, to the moment of reading."""
    if isinstance(condition, CohortCondition):
        return False
    return condition.subject is Subject.EVENT and not condition.compares_dates


def _is_of_person(condition: Condition) -> bool:
    return isinstance(condition, CohortCondition) or condition.subject is Subject.PERSON


# --- the job -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A window that is not there yet, or not with all of its days."""

    first_day: date
    last_day: date
    aggregation_id: int
    plan: ExposurePlan


def bring_up_to_date(plans: Mapping[int, ExposurePlan], *, timeout_seconds: float) -> int:
    """Aggregate what is missing or has changed for these experiments, oldest days first, and forget all others.

    Returns how many windows were made. Each is a transaction, so that an interruption loses nothing. While another
    process is at it nothing is done.
    """
    splits = {number: split for number, plan in plans.items() if (split := _split(plan)) is not None}
    with alone(_JOB) as mine:
        if not mine:
            return 0
        _keep_only(splits)
        with connection.cursor() as cursor:
            cursor.execute(_DROP_CHANGED)
        wanted = [one for number, split in splits.items() for one in _missing(number, split, end=plans[number].end)]
        announced = _announced(wanted)
        made = 0
        for one in sorted(wanted, key=lambda one: (one.first_day, one.aggregation_id)):
            if one.plan.project_id in announced:
                made += _made(one, timeout_seconds=timeout_seconds)
        if made:
            # Readers plan by how many rows there are; autovacuum would tell them later.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE events_preaggregatedexposure")
        return made


def _keep_only(splits: Mapping[int, _Split]) -> None:
    listed = [{"experiment_id": number, "digest": split.digest} for number, split in splits.items()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FORGET, [json.dumps(listed)])
        for number, split in splits.items():
            cursor.execute(_KEEP, [split.plan.project_id, number, split.digest])
        cursor.execute(_FORGET_DAYS)


def _missing(experiment_id: int, split: _Split, *, end: datetime) -> Iterator[_Wanted]:
    with connection.cursor() as cursor:
        cursor.execute(_ID, [experiment_id, split.digest])
        (aggregation_id,) = cursor.fetchone()
        cursor.execute(_KNOWN, [aggregation_id])
        known = set(cursor.fetchall())
    first, last = changed_days.day_of(split.plan.start), changed_days.day_of(end) - timedelta(days=1)
    for days in _weeks(first, last):
        if days not in known:
            yield _Wanted(first_day=days[0], last_day=days[1], aggregation_id=aggregation_id, plan=split.plan)


def _weeks(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The days from `first` to `last` in windows that end with a Sunday, or with `last`."""
    while first <= last:
        sunday = first + timedelta(days=WINDOW_DAYS - 1 - first.weekday())
        yield first, min(sunday, last)
        first = sunday + timedelta(days=1)


def _announced(wanted: Sequence[_Wanted]) -> set[int]:
    """The projects that know of the days; those with long writers are left for the next time."""
    days: dict[int, set[date]] = {}
    for one in wanted:
        days.setdefault(one.plan.project_id, set()).update(_days(one.first_day, one.last_day))
    announced = set()
    for project_id, named in days.items():
        try:
            changed_days.announce(project_id=project_id, days=named)
        except OperationalError:
            logger.warning("days not announced", extra={"fields": {"project": project_id}}, exc_info=True)
            continue
        announced.add(project_id)
    return announced


def _made(wanted: _Wanted, *, timeout_seconds: float) -> bool:
    """Whether the window was made; what takes too long is left for the next time."""
    try:
        with time_limit(timeout_seconds):
            _make(wanted)
    except StoreTimeout:
        fields = {"aggregation": wanted.aggregation_id, "first_day": str(wanted.first_day)}
        logger.warning("exposures not aggregated", extra={"fields": fields})
        return False
    return True


def _make(wanted: _Wanted) -> None:
    days = [wanted.first_day, wanted.last_day]
    plan = replace(
        wanted.plan,
        start=max(wanted.plan.start, _midnight(wanted.first_day)),
        end=_midnight(wanted.last_day + timedelta(days=1)) - _INSTANT,
    )
    statement = Statement(moment=Moment(now=plan.end, zone=UTC))
    column = "person_id" if plan.unit_group is None else "group_key"
    rows = exposures.rows_as_ingested(plan, statement)
    with connection.cursor() as cursor:
        cursor.execute(_REPLACE, [wanted.aggregation_id, *days])
        cursor.execute(_OPEN, [wanted.aggregation_id, *days])
        (window,) = cursor.fetchone()
        cursor.execute(
            f"""
            INSERT INTO events_preaggregatedexposure
                (window_id, {column}, variant, first_time, last_time, first_uuid)
            SELECT {statement.bind(window)}, unit, variant, min(time), max(time),
                   (array_agg(uuid ORDER BY time, uuid))[1]
            FROM ({rows}) AS rows GROUP BY unit, variant
            """,
            statement.parameters,
        )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _days(first: date, last: date) -> Sequence[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
