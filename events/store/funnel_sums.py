"""Funnels of the exposed units: in SQL as far as it goes, unit by unit in `funnels` where the rows need a closer look.

SQL follows the ordered funnel of units whose rows all differ in time. For each step it keeps the latest exposure from
which the step has been reached, as `funnels` does; each is a running maximum over the rows before. Rows of one instant
may serve several steps in one order only, which is left to `funnels`, as are the other kinds of funnel.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import connection

from events.store import actors, exposed, plain_funnels
from events.store.conditions import Statement, any_of
from events.store.funnel_kinds import LAYERS, is_plain, needs_attempts, window_of
from events.store.funnels import Row, furthest_step
from events.store.measures import Actors, AggregatePlan, Aggregates, Funnel, FunnelOrder, Sums
from events.store.parts import Parts

_MICROSECONDS = 1_000_000
_ROWS_AT_ONCE = 10_000
_BITS = 62  # of a bigint that stays positive


def funnel_sums(parts: Parts, measure: Funnel) -> Aggregates:
    """The sums of a funnel over the units in their tables; the rows of attempts are there if they are needed."""
    if is_plain(parts.plan, measure):
        sql = f"""
            WITH {plain_funnels.reached(parts, measure)}
            SELECT breakdown, arm, reached, came_before, count(*) FROM reached GROUP BY 1, 2, 3, 4
        """
        return counted(sql, parts.statement, measure)
    sums = _Followed(parts, measure, with_attempts=needs_attempts(parts.plan, measure))
    found = sums.units()
    if sums.is_for_sql:
        close = sums.add_followed(found)
        if close:
            sums.add_looked_at(found, only=close)
    else:
        sums.add_looked_at(found, only=None)
    return found


def funnel_values(parts: Parts, measure: Funnel) -> Iterator[tuple[UUID, int, bool]]:
    """Per unit with rows of any step: the unit, how far it got, and whether it took the last step in its lookback.

    Otherwise as `funnel_sums`.
    """
    if is_plain(parts.plan, measure):
        yield from _streamed(
            f"WITH {plain_funnels.reached(parts, measure)}"
            " SELECT unit, reached, came_before FROM reached WHERE reached > 0 OR came_before",
            parts.statement,
        )
        return
    followed = _Followed(parts, measure, with_attempts=needs_attempts(parts.plan, measure))
    close: list[UUID] = []
    if followed.is_for_sql:
        for unit, reached, came_before, at_once in followed.one_by_one():
            if at_once:
                close.append(unit)
            else:
                yield unit, reached, came_before
        if not close:
            return
    for (unit, *_), reached, came_before in followed.looked_at(only=close if followed.is_for_sql else None):
        yield unit, reached, came_before


def counted(sql: str, statement: Statement, measure: Funnel) -> Aggregates:
    """The sums over rows of breakdown values, arm, furthest step, whether the last came before, and number of units."""
    found: Aggregates = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        for values, arm, reached, came_before, units in cursor.fetchall():
            sums = found.setdefault((tuple(values), arm), Sums(step_counts=[0] * len(measure.steps)))
            sums.n += units
            _add(sums, reached=reached, came_before=came_before, units=units)
    return found


def _add(sums: Sums, *, reached: int, came_before: bool, units: int = 1) -> None:
    """Add units that got as far, besides their number."""
    for step in range(reached):
        sums.step_counts[step] += units
    converted = units if reached == len(sums.step_counts) else 0
    sums.s += converted
    sums.q += converted
    if came_before:
        sums.x += units
        sums.xx += units
        sums.xy += converted


def funnel_actors(parts: Parts, measure: Funnel, *, values: Collection[tuple[str, ...]] | None) -> Actors:
    """A sample of the units by their furthest step; the rows of attempts are in their table."""
    plan = parts.plan
    followed = _Followed(parts, measure, with_attempts=True)
    sampling = actors.Sampling(measure, window=window_of(plan) // timedelta(microseconds=1), values=values)
    sampling.add_units(followed.listed(only=None))
    parts = followed.parts()
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {followed.hits(parts)} {actors.UNTOUCHED}", parts.statement.parameters)
        sampling.add_untouched(cursor.fetchall())
        cursor.execute(actors.EVENTS, [sampling.asked(), plan.exposure.project_id])
        return sampling.actors(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class _Followed:
    """The units of a plan on their way through a funnel. `with_attempts`: every exposure may begin an attempt."""

    first: Parts
    measure: Funnel
    _: KW_ONLY
    with_attempts: bool

    @property
    def plan(self) -> AggregatePlan:
        return self.first.plan

    @property
    def is_for_sql(self) -> bool:
        """Whether SQL can follow most of the units."""
        return self.measure.order is FunnelOrder.ORDERED and self.steps <= LAYERS

    @property
    def steps(self) -> int:
        return len(self.measure.steps)

    @property
    def looks_back(self) -> bool:
        return self.plan.lookback_seconds is not None and self.measure.order is FunnelOrder.ORDERED

    def parts(self) -> Parts:
        """What a statement of its own is made of."""
        return replace(self.first, statement=self.first.statement.anew())

    def units(self) -> Aggregates:
        """The arms with their numbers of units."""
        parts = self.parts()
        counted = f"SELECT breakdown, arm, count(*) FROM ({parts.units()}) AS units GROUP BY 1, 2"
        with connection.cursor() as cursor:
            cursor.execute(counted, parts.statement.parameters)
            return {
                (tuple(values), arm): Sums(n=n, step_counts=[0] * self.steps) for values, arm, n in cursor.fetchall()
            }

    # --- in SQL ------------------------------------------------------------------------------------------------

    def add_followed(self, found: Aggregates) -> list[Any]:
        """Add the units that SQL can follow; returns the others."""
        parts = self.parts()
        sql = f"""
            WITH {self._followed(parts)}
            SELECT units.breakdown, units.arm, reached, came_before, count(*),
                   CASE WHEN at_once THEN array_agg(units.unit) END
            FROM followed JOIN units ON units.unit = followed.unit
            GROUP BY units.breakdown, units.arm, reached, came_before, at_once
        """
        close: list[Any] = []
        with connection.cursor() as cursor:
            cursor.execute(sql, parts.statement.parameters)
            for values, arm, reached, came_before, units, listed in cursor.fetchall():
                if listed is not None:
                    close += listed
                else:
                    _add(found[tuple(values), arm], reached=reached, came_before=came_before, units=units)
        return close

    def one_by_one(self) -> Iterator[tuple[Any, ...]]:
        """Per unit with rows of any step: unit, step, whether the last came before, whether SQL cannot tell."""
        parts = self.parts()
        sql = f"WITH {self._followed(parts)} SELECT unit, reached, came_before, at_once FROM followed"
        yield from _streamed(sql, parts.statement)

    def _followed(self, parts: Parts) -> str:
        """The tables `units` and `followed`."""
        window = parts.bind(window_of(self.plan))
        frame = "OVER (PARTITION BY unit ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        last = 2**self.steps
        begun = f"max(CASE WHEN mask & 1 <> 0 THEN time END) {frame}" if self.with_attempts else "first_time"
        # In each layer `begun` is the latest exposure from which the step before has been reached by earlier rows.
        layer = f"""
            SELECT unit, time, CASE WHEN time >= first_time THEN mask ELSE 0 END AS mask,
                   time < first_time AND mask & {last} <> 0 AS came_before,
                   coalesce(max(time) {frame} = time, FALSE) AS at_once, 0 AS reached, {begun} AS begun
            FROM rows
        """
        for step in range(1, self.steps + 1):
            # Nothing begins after the last step.
            begun = f", max(started) {frame} AS begun" if step < self.steps else ""
            layer = f"""
                SELECT unit, time, mask, came_before, at_once, reached{begun}
                FROM (
                    SELECT unit, time, mask, came_before, at_once, started,
                           CASE WHEN started IS NULL THEN reached ELSE {step} END AS reached
                    FROM (
                        SELECT *, CASE WHEN mask & {2**step} <> 0 AND begun >= time - {window} THEN begun END AS started
                        FROM ({layer}) AS layer
                    ) AS layer
                ) AS layer
            """
        # Without attempts the first exposure needs no row of its own.
        rows = self._rows(parts) if self.with_attempts else self.hits(parts, name="rows")
        return f"""
            {rows},
            followed AS (
                SELECT unit, max(reached) AS reached, bool_or(came_before) AS came_before, bool_or(at_once) AS at_once
                FROM ({layer}) AS layer GROUP BY unit
            )
        """

    # --- in memory ---------------------------------------------------------------------------------------------

    def add_looked_at(self, found: Aggregates, *, only: Collection[Any] | None) -> None:
        """Add all units with rows of any step, or only some."""
        for (_, values, arm, _), reached, came_before in self.looked_at(only=only):
            _add(found[values, arm], reached=reached, came_before=came_before)

    def looked_at(self, *, only: Collection[Any] | None) -> Iterator[tuple[tuple[Any, ...], int, bool]]:
        """Per unit, as `listed` names it: its furthest step, and whether the last came before the exposure."""
        microseconds = window_of(self.plan) // timedelta(microseconds=1)
        for named, rows, _ in self.listed(only=only):
            first = named[3]
            reached = furthest_step(
                [row for row in rows if row[0] >= first],
                steps=self.steps,
                order=self.measure.order,
                window=microseconds,
            )
            came_before = any(time < first and mask >> self.steps & 1 for time, mask in rows)
            yield named, reached, came_before

    def listed(self, *, only: Collection[Any] | None) -> Iterator[tuple[tuple[Any, ...], list[Row], list[UUID]]]:
        """Per unit with rows of any step: unit, breakdown values, arm and first time; its rows; and their uuids."""
        parts = self.parts()
        sql = f"""
            WITH {self._rows(parts, only=only)}
            SELECT units.unit, units.breakdown, units.arm,
                   (extract(epoch FROM units.first_time) * {_MICROSECONDS})::bigint,
                   (extract(epoch FROM rows.time) * {_MICROSECONDS})::bigint, rows.uuid, rows.mask
            FROM rows JOIN units ON units.unit = rows.unit
            ORDER BY units.unit, rows.time, rows.uuid
        """
        every = _streamed(sql, parts.statement)
        for unit, listed in groupby(every, key=lambda row: (row[0], tuple(row[1]), row[2], row[3])):
            merged: list[Row] = []
            uuids: list[UUID] = []
            for *_, time, uuid, mask in listed:
                # An exposure that matches a step as well comes twice.
                if uuids and uuid == uuids[-1]:
                    merged[-1] = (time, merged[-1][1] | int(mask))
                else:
                    merged.append((time, int(mask)))
                    uuids.append(uuid)
            yield unit, merged, uuids

    # --- what both read ----------------------------------------------------------------------------------------

    def hits(self, parts: Parts, *, only: Collection[Any] | None = None, name: str = "hits") -> str:
        """The tables `units` and `hits` (unit, time, mask, first_time, uuid): the events that match a step."""
        within = [parts.is_in_attempts()]
        if self.looks_back:
            within.append(parts.is_before())
        number = "bigint" if self.steps < _BITS else "numeric"
        hits = parts.rows_of_steps(self.measure.steps, number=number)
        narrowed = ""
        if only is not None:
            kind = "uuid" if self.plan.exposure.unit_group is None else "text"
            narrowed = f"AND units.unit = ANY({parts.bind(list(only))}::{kind}[])"
        return f"""
            units AS MATERIALIZED ({parts.units()}),
            {name} AS MATERIALIZED (
                SELECT rows.unit, rows.time, rows.mask, units.first_time, rows.uuid FROM ({hits}) AS rows
                JOIN units ON units.unit = rows.unit AND ({any_of(within)}) {narrowed}
            )
        """

    def _rows(self, parts: Parts, *, only: Collection[Any] | None = None) -> str:
        """The tables `units` and `rows`: hits, and the exposures of units that have any."""
        attempts = "SELECT unit, first_time AS time, first_uuid AS uuid FROM units"
        if self.with_attempts:
            attempts = f"SELECT {exposed.unit_column(self.plan.exposure)} AS unit, time, uuid FROM {exposed.ROWS}"
        return f"""
            {self.hits(parts, only=only)},
            rows AS (
                SELECT * FROM hits
                UNION ALL
                SELECT attempts.unit, attempts.time, 1, units.first_time, attempts.uuid FROM ({attempts}) AS attempts
                JOIN units ON units.unit = attempts.unit
                WHERE attempts.unit IN (SELECT unit FROM hits)
            )
        """


def _streamed(sql: str, statement: Statement) -> Iterator[tuple[Any, ...]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from rows
