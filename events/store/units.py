"""Measures of the exposed units that lie in the tables of the connection, computed statement by statement."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import connection

from common.instants import Moment
from events.store import actors, aggregates, exposed
from events.store.aggregates import Parts
from events.store.base import Exposures
from events.store.conditions import Statement, any_of
from events.store.funnels import Row, furthest_step
from events.store.limits import stopped_at_the_limit
from events.store.measures import (
    Actors,
    AggregatePlan,
    Aggregates,
    Funnel,
    FunnelOrder,
    Mean,
    Ratio,
    Retention,
    Sums,
)
from events.store.plans import ExposurePlan

# Without a window of its own a funnel has this one.
LONGEST_ATTEMPT = timedelta(days=3 * 365)
_MICROSECONDS = 1_000_000
_ROWS_AT_ONCE = 10_000
_BITS = 62  # of a bigint that stays positive


class ExposedUnits:
    """The units of one exposure plan. Usable until its snapshot ends or another plan's units are exposed."""

    def __init__(self, plan: ExposurePlan, *, moment: Moment) -> None:
        self.plan = plan
        self.moment = moment
        statement = Statement(moment=moment)
        filling = exposed.filling(plan, statement)
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {exposed.UNITS}; DELETE FROM {exposed.ROWS}")
            cursor.execute(filling, statement.parameters)
            cursor.execute(f"ANALYZE {exposed.UNITS}, {exposed.ROWS}")

    def by_day(self) -> Exposures:
        """How many units were exposed, by arm and day."""
        statement = Statement(moment=self.moment)
        found = _fetched(exposed.counted_by_day(self.plan, statement), statement)
        return Exposures(by_day={(arm, day): units for arm, day, units in found})

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        """The sums of a measure, by breakdown values and arm; an arm without units is missing.

        Raises StoreTimeout when it takes too long; other measures may still be asked for.
        """
        if plan.exposure != self.plan:
            raise ValueError("the plan is about other units than those exposed")
        with stopped_at_the_limit():
            return _measured(Parts(plan, Statement(moment=self.moment)))

    def actors(self, plan: AggregatePlan, *, values: Collection[tuple[str, ...]] | None = None) -> Actors:
        """Of a funnel, per breakdown values (None: all) and arm: up to 100 units whose furthest step is each step.

        Raises StoreTimeout when it takes too long.
        """
        if plan.exposure != self.plan or not isinstance(plan.measure, Funnel):
            raise ValueError("the plan is about other units than those exposed, or about no funnel")
        with stopped_at_the_limit():
            return _sampled(Parts(plan, Statement(moment=self.moment)), plan.measure, values)


def _measured(parts: Parts) -> Aggregates:
    measure = parts.plan.measure
    if isinstance(measure, Mean):
        return _means(_fetched(aggregates.mean_sums(parts, measure), parts.statement))
    if isinstance(measure, Ratio):
        return _ratios(_fetched(aggregates.ratio_sums(parts, measure), parts.statement))
    if isinstance(measure, Retention):
        return _retentions(_fetched(aggregates.retention_sums(parts, measure), parts.statement))
    return _funnels(parts, measure)


def _fetched(sql: str, statement: Statement) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _means(rows: Iterable[tuple[Any, ...]]) -> Aggregates:
    return {(tuple(values), arm): Sums(n=n, s=s, q=q, x=x, xx=xx, xy=xy) for values, arm, n, s, q, x, xx, xy in rows}


def _ratios(rows: Iterable[tuple[Any, ...]]) -> Aggregates:
    found: Aggregates = {}
    for values, arm, n, *sums in rows:
        s, q, d, dd, sd, x, xx, xy, dx, dxdx, d_dx, x_dx, s_dx, d_x = sums
        found[tuple(values), arm] = Sums(
            n=n, s=s, q=q, d=d, dd=dd, sd=sd, x=x, xx=xx, xy=xy,
            dx=dx, dxdx=dxdx, d_dx=d_dx, x_dx=x_dx, s_dx=s_dx, d_x=d_x,
        )  # fmt: skip
    return found


def _retentions(rows: Iterable[tuple[Any, ...]]) -> Aggregates:
    return {(tuple(values), arm): Sums(n=n, s=back, q=back, sd=back, d=n, dd=n) for values, arm, n, back in rows}


def _funnels(parts: Parts, measure: Funnel) -> Aggregates:
    steps = len(measure.steps)
    counted = f"SELECT breakdown, arm, count(*) FROM ({parts.units()}) AS units GROUP BY 1, 2"
    found: Aggregates = {
        (tuple(values), arm): Sums(n=n, step_counts=[0] * steps)
        for values, arm, n in _fetched(counted, parts.statement)
    }
    microseconds = _attempt(parts)
    rows_parts = Parts(parts.plan, Statement(moment=parts.statement.moment))
    for (_, values, arm, first), rows, _ in _funnel_rows(rows_parts, measure):
        sums = found[values, arm]
        reached = furthest_step(
            [row for row in rows if row[0] >= first], steps=steps, order=measure.order, window=microseconds
        )
        for step in range(reached):
            sums.step_counts[step] += 1
        converted = reached == steps
        sums.s += converted
        sums.q += converted
        if any(time < first and mask >> steps & 1 for time, mask in rows):
            sums.x += 1
            sums.xx += 1
            sums.xy += converted
    return found


def _attempt(parts: Parts) -> int:
    """How long an attempt lasts, in microseconds."""
    return (parts.window or LONGEST_ATTEMPT) // timedelta(microseconds=1)


def _sampled(parts: Parts, measure: Funnel, values: Collection[tuple[str, ...]] | None) -> Actors:
    sampling = actors.Sampling(measure, window=_attempt(parts), values=values)
    sampling.add_units(_funnel_rows(parts, measure))
    untouched = Parts(parts.plan, Statement(moment=parts.statement.moment))
    sampling.add_untouched(_fetched(_with_hits(untouched, measure) + actors.UNTOUCHED, untouched.statement))
    with connection.cursor() as cursor:
        cursor.execute(actors.EVENTS, [sampling.asked(), parts.plan.exposure.project_id])
        return sampling.actors(cursor.fetchall())


def _funnel_rows(parts: Parts, measure: Funnel) -> Iterator[tuple[tuple[Any, ...], list[Row], list[UUID]]]:
    """Per unit with rows of any step: unit, breakdown values, arm and first time; its rows; and their uuids."""
    sql = _funnel_sql(parts, measure)
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parts.statement.parameters)
        fetched = iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), [])
        rows = (row for chunk in fetched for row in chunk)
        for unit, listed in groupby(rows, key=lambda row: (row[0], tuple(row[1]), row[2], row[3])):
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


def _with_hits(parts: Parts, measure: Funnel) -> str:
    """The tables of units, and of their rows that match any step."""
    within = [parts.is_in_attempts()]
    if parts.lookback is not None and measure.order is FunnelOrder.ORDERED:
        within.append(parts.is_before())
    number = "bigint" if len(measure.steps) < _BITS else "numeric"
    hits = parts.rows_of_steps(measure.steps, number=number)
    return f"""
        WITH units AS MATERIALIZED ({parts.units()}),
        hits AS MATERIALIZED (
            SELECT rows.unit, rows.time, rows.uuid, rows.mask FROM ({hits}) AS rows
            JOIN units ON units.unit = rows.unit AND ({any_of(within)})
        )"""


def _funnel_sql(parts: Parts, measure: Funnel) -> str:
    return f"""
        {_with_hits(parts, measure)},
        rows AS (
            SELECT unit, time, uuid, mask FROM hits
            UNION ALL
            SELECT attempts.{parts.unit}, attempts.time, attempts.uuid, 1 FROM {exposed.ROWS} AS attempts
            WHERE attempts.{parts.unit} IN (SELECT unit FROM hits)
        )
        SELECT units.unit, units.breakdown, units.arm,
               (extract(epoch FROM units.first_time) * {_MICROSECONDS})::bigint,
               (extract(epoch FROM rows.time) * {_MICROSECONDS})::bigint, rows.uuid, rows.mask
        FROM rows JOIN units ON units.unit = rows.unit
        ORDER BY units.unit, rows.time, rows.uuid
    """
