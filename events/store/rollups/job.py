"""The job that keeps rollups: makes those that are missing, and computes anew whose values may have changed."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from events.store import exposed, jobs
from events.store.base import StoreTimeout
from events.store.conditions import Statement, moment_of
from events.store.limits import stopped_at_the_limit
from events.store.measures import RollupPlan
from events.store.parts import Parts
from events.store.rollups import changes, values
from events.store.rollups.plans import digest_of_units, digest_of_values, has_units, has_values
from events.store.snapshots import snapshot
from events.store.units import ExposedUnits

logger = logging.getLogger(__name__)

_JOB = "events rollups"
_FORGET = """
WITH measures AS (
    DELETE FROM events_rollupmeasure WHERE rollup_id = ANY(%(ids)s) RETURNING id
), kept_values AS (
    DELETE FROM events_rollupvalue WHERE measure_id IN (SELECT id FROM measures)
), units AS (
    DELETE FROM events_rollupunit WHERE rollup_id = ANY(%(ids)s)
)
DELETE FROM events_rollup WHERE id = ANY(%(ids)s)
"""
_UNWANTED = "SELECT id FROM events_rollup WHERE experiment_id <> ALL(%s)"
_OF_PROJECT = "SELECT id FROM events_rollup WHERE project_id = %s"
_EVERY = "SELECT id FROM events_rollup"
_OF_EXPERIMENT = "SELECT id, digest, as_of, stored_before FROM events_rollup WHERE experiment_id = %s"
_BEGIN = """
INSERT INTO events_rollup (project_id, experiment_id, digest, as_of, stored_before, by_day)
VALUES (%s, %s, %s, %s, %s, '[]') RETURNING id
"""
_FINISH = """
UPDATE events_rollup SET as_of = %(as_of)s, stored_before = %(stored_before)s WHERE id = %(id)s
"""
_COUNT = """
UPDATE events_rollup SET by_day = (
    SELECT coalesce(jsonb_agg(jsonb_build_array(arm, day, units)), '[]')
    FROM (SELECT arm, day, count(*) AS units FROM events_rollupunit WHERE rollup_id = %(id)s GROUP BY 1, 2) AS counted
)
WHERE id = %(id)s
"""
_MEASURES = "SELECT digest, id FROM events_rollupmeasure WHERE rollup_id = %s"
_ADD_MEASURE = "INSERT INTO events_rollupmeasure (rollup_id, digest, sums) VALUES (%s, %s, '{}') RETURNING id"
_FORGET_MEASURES = """
WITH kept_values AS (DELETE FROM events_rollupvalue WHERE measure_id = ANY(%(ids)s))
DELETE FROM events_rollupmeasure WHERE id = ANY(%(ids)s)
"""
_FORGET_PERSONS = """
WITH kept_values AS (DELETE FROM events_rollupvalue WHERE measure_id = ANY(%s) AND person_id = ANY(%s))
DELETE FROM events_rollupunit WHERE rollup_id = %s AND person_id = ANY(%s)
"""
_KEEP_UNITS = f"""
INSERT INTO events_rollupunit (rollup_id, person_id, arm, day)
SELECT %s, person, arm, (first_time AT TIME ZONE %s)::date FROM {exposed.UNITS}
"""


def bring_up_to_date(plans: Mapping[int, RollupPlan], *, timeout_seconds: float) -> int:
    """Roll up the units and measures of these experiments (by id), and forget the rollups of all others.

    Returns how many are up to date now. Each is a transaction, so that an interruption loses nothing. What another
    process is at is left to it.
    """
    wanted = {number: plan for number, plan in plans.items() if has_units(plan.exposure)}
    with jobs.alone(_JOB) as mine:
        if not mine:
            return 0
        _forget(_UNWANTED, [list(wanted)])
        changes.forget_notes()
    made = 0
    for number, plan in wanted.items():
        # One by one: others may wait.
        with jobs.alone(_JOB) as mine:
            made += mine and _made(number, plan, timeout_seconds=timeout_seconds)
    return made


def wait() -> None:
    """Wait for a rollup in the making, and keep others from being begun until the transaction ends.

    To be called before events are removed, whose traces are then forgotten.
    """
    jobs.wait(_JOB)


def forget_project(project_id: int) -> None:
    """Forget what is rolled up of the project; see `wait`."""
    _forget(_OF_PROJECT, [project_id])


@transaction.atomic
def forget_all() -> None:
    """Forget everything."""
    wait()
    _forget(_EVERY, [])


def _forget(sql: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        ids = [number for (number,) in cursor.fetchall()]
        if ids:
            cursor.execute(_FORGET, {"ids": ids})


def _made(experiment_id: int, plan: RollupPlan, *, timeout_seconds: float) -> bool:
    """Whether the rollup is up to date; what takes too long, or is in somebody's way, is left for the next time."""
    fields = {"experiment": experiment_id}
    # Before the snapshot, which then sees all that was stored before.
    stored_before = changes.settled()
    try:
        with snapshot(timeout_seconds=timeout_seconds, read_only=False):
            making = _Making(experiment_id, plan, stored_before=stored_before)
            changed = making.changed()
            if changed is None and not making.would_serve():
                logger.warning("not rolled up: too much has just changed", extra={"fields": fields})
                return False
            is_new = making.make(changed)
    except (StoreTimeout, DatabaseError):
        logger.warning("not rolled up", extra={"fields": fields}, exc_info=True)
        return False
    if is_new:
        # Readers plan by how many rows there are; autovacuum would tell them later.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE events_rollupunit, events_rollupvalue")
    return True


class _Making:
    """One rollup in the making, inside a snapshot."""

    def __init__(self, experiment_id: int, plan: RollupPlan, *, stored_before: datetime) -> None:
        self.experiment_id = experiment_id
        self.exposure = plan.exposure
        self.measures = {digest_of_values(one): one for one in plan.measures if has_values(one)}
        self.stored_before = stored_before
        self.id = 0

    def changed(self) -> list[UUID] | None:
        """The persons whose values may have changed; None when all have to be made."""
        rows = self._execute(_OF_EXPERIMENT, [self.experiment_id])
        if not rows:
            return None
        self.id, digest, as_of, stored_before = rows[0]
        if digest == digest_of_units(self.exposure) and as_of <= self.exposure.end:
            return changes.changed(self.exposure, rollup_id=self.id, stored_before=stored_before, as_of=as_of)
        return None

    def would_serve(self) -> bool:
        """Whether readers could use what is made now. While an old transaction is open too much may be new to it."""
        since = {"stored_before": self.stored_before, "as_of": self.exposure.end}
        return changes.changed(self.exposure, rollup_id=self.id, **since) is not None

    def make(self, changed: list[UUID] | None) -> bool:
        """Whether there is more than before, not only the same brought up to date."""
        if changed is None:
            self._begin()
            added = self._keep(self._added(self.measures), persons=None)
        else:
            known = self._known()
            added = self._added(self.measures.keys() - known.keys())
            if changed:
                self._add_up(self._keep(known, persons=changed))
            if added:
                added = self._keep(added, persons=None, with_units=False)
        self._add_up(added)
        moments = {"id": self.id, "as_of": self.exposure.end, "stored_before": self.stored_before}
        self._execute(_FINISH, moments)
        if changed is None or changed:
            self._execute(_COUNT, {"id": self.id})
        return bool(added) or changed is None

    def _begin(self) -> None:
        if self.id:
            self._execute(_FORGET, {"ids": [self.id]})
        exposure = self.exposure
        self.id = self._value(
            _BEGIN,
            [exposure.project_id, self.experiment_id, digest_of_units(exposure), exposure.end, self.stored_before],
        )

    def _known(self) -> dict[str, int]:
        """The measures that are kept, by digest; those that are not wanted any more are forgotten."""
        found: dict[str, int] = dict(self._execute(_MEASURES, [self.id]))
        unwanted = [number for digest, number in found.items() if digest not in self.measures]
        if unwanted:
            self._execute(_FORGET_MEASURES, {"ids": unwanted})
        return {digest: number for digest, number in found.items() if digest in self.measures}

    def _added(self, digests: Collection[str]) -> dict[str, int]:
        return {digest: self._value(_ADD_MEASURE, [self.id, digest]) for digest in sorted(digests)}

    def _keep(
        self, measures: Mapping[str, int], *, persons: list[UUID] | None, with_units: bool = True
    ) -> dict[str, int]:
        """Keep the values of these persons, or of all, in place of those that are kept.

        Returns the measures without those that take too long, which are forgotten.
        """
        if persons is not None:
            self._execute(_FORGET_PERSONS, [list(measures.values()), persons, self.id, persons])
        units = ExposedUnits(self.exposure, persons=persons)
        if with_units:
            self._execute(_KEEP_UNITS, [self.id, self.exposure.zone])
        units.expect([self.measures[digest] for digest in measures])
        return {digest: number for digest, number in measures.items() if self._is_kept(digest, number, units)}

    def _is_kept(self, digest: str, number: int, units: ExposedUnits) -> bool:
        try:
            with stopped_at_the_limit():
                values.keep(number, units, self.measures[digest])
        except StoreTimeout:
            logger.warning("measure not rolled up", extra={"fields": {"experiment": self.experiment_id}}, exc_info=True)
            self._execute(_FORGET_MEASURES, {"ids": [number]})
            return False
        return True

    def _add_up(self, measures: Mapping[str, int]) -> None:
        for digest, number in measures.items():
            parts = Parts(self.measures[digest], Statement(moment=moment_of(self.exposure)))
            found = {arm: asdict(sums) for (_, arm), sums in values.sums(number, parts).items()}
            self._execute("UPDATE events_rollupmeasure SET sums = %s WHERE id = %s", [json.dumps(found), number])

    def _execute(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [] if cursor.description is None else cursor.fetchall()

    def _value(self, sql: str, parameters: Any) -> int:
        ((found,),) = self._execute(sql, parameters)
        number: int = found
        return number
