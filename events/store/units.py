"""Measures of the exposed units that lie in the tables of the connection, computed statement by statement."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import connection

from events.store import aggregates, exposed, shared_rows
from events.store.base import Exposures, StoreTimeout
from events.store.conditions import Statement, moment_of
from events.store.funnel_kinds import needs_attempts
from events.store.funnel_sums import funnel_actors, funnel_sums
from events.store.limits import stopped_at_the_limit
from events.store.measures import Actors, AggregatePlan, Aggregates, Funnel, Mean, Ratio, Retention, Sums
from events.store.parts import Parts
from events.store.plans import ExposurePlan
from events.store.preaggregation import Kept
from events.store.shared_rows import SharedRows, shared_by


class ExposedUnits:
    """The units of one exposure plan. Usable until its snapshot ends or another plan's units are exposed."""

    def __init__(
        self,
        plan: ExposurePlan,
        *,
        kept: Kept | None = None,
        persons: Collection[UUID] | None = None,
    ) -> None:
        """With `persons`, by the ids as stored, only the units that those are; they must be all of each unit."""
        self.plan = plan
        self.persons = persons
        self.is_precomputed = kept is not None
        self._has_attempts = False
        self._shared: SharedRows | None = None
        statement = self._statement()
        filling = exposed.filling(plan, statement, kept=kept)
        with connection.cursor() as cursor:
            cursor.execute(exposed.EMPTYING)
            cursor.execute(filling, statement.parameters)
            cursor.execute(f"ANALYZE {exposed.UNITS}")

    def by_day(self) -> Exposures:
        """How many units were exposed, by arm and day."""
        statement = self._statement()
        found = _fetched(exposed.counted_by_day(self.plan, statement), statement)
        return Exposures(by_day={(arm, day): units for arm, day, units in found})

    def is_precomputed_for(self, plan: AggregatePlan) -> bool:
        """Whether the units were kept in advance; the events of the measure are read either way."""
        return self.is_precomputed

    def expect(self, plans: Sequence[AggregatePlan]) -> None:
        """Read the events of these plans at once, for what is asked afterwards. Answers are the same without it."""
        shared = shared_by(plans)
        if shared is None:
            return
        whole = replace(plans[0], lookback_seconds=shared.lookback_seconds or None)
        parts = Parts(whole, self._statement())
        sharing = parts.sharing(shared)
        try:
            with stopped_at_the_limit(), connection.cursor() as cursor:
                cursor.execute(shared_rows.EMPTYING)
                cursor.execute(sharing, parts.statement.parameters)
                cursor.execute(f"ANALYZE {shared_rows.ROWS}")
        except StoreTimeout:
            # Each measure reads for itself then, which may be quick for some.
            return
        self._shared = shared

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        """The sums of a measure, by breakdown values and arm; an arm without units is missing.

        Raises StoreTimeout when it takes too long; other measures may still be asked for.
        """
        if plan.exposure != self.plan:
            raise ValueError("the plan is about other units than those exposed")
        with stopped_at_the_limit():
            return _measured(self.parts(plan))

    def actors(self, plan: AggregatePlan, *, values: Collection[tuple[str, ...]] | None = None) -> Actors:
        """Of a funnel, per breakdown values (None: all) and arm: up to 100 units whose furthest step is each step.

        Raises StoreTimeout when it takes too long.
        """
        if plan.exposure != self.plan or not isinstance(plan.measure, Funnel):
            raise ValueError("the plan is about other units than those exposed, or about no funnel")
        self._add_attempts()
        with stopped_at_the_limit():
            return funnel_actors(self.parts(plan), plan.measure, values=values)

    def parts(self, plan: AggregatePlan) -> Parts:
        """What a statement about the plan is made of; what it reads is there."""
        if isinstance(plan.measure, Funnel) and needs_attempts(plan, plan.measure):
            self._add_attempts()
        shared = self._shared if self._shared is not None and self._shared.serves(plan) else None
        return Parts(plan, self._statement(), shared=shared)

    def _statement(self) -> Statement:
        return Statement(moment=moment_of(self.plan), persons=self.persons)

    def _add_attempts(self) -> None:
        if self._has_attempts:
            return
        statement = self._statement()
        filling = exposed.filling_rows(self.plan, statement)
        with stopped_at_the_limit(), connection.cursor() as cursor:
            cursor.execute(filling, statement.parameters)
            cursor.execute(f"ANALYZE {exposed.ROWS}")
        self._has_attempts = True


def _measured(parts: Parts) -> Aggregates:
    measure = parts.plan.measure
    if isinstance(measure, Funnel):
        return funnel_sums(parts, measure)
    return summed(parts, measure, aggregates.valued(parts, measure))


def summed(parts: Parts, measure: Mean | Ratio | Retention, tables: list[str]) -> Aggregates:
    """The sums over the last of `tables`, which is as `aggregates.valued` makes it."""
    rows = _fetched(aggregates.sums(parts, measure, tables), parts.statement)
    if isinstance(measure, Mean):
        return _means(rows)
    return _ratios(rows) if isinstance(measure, Ratio) else _retentions(rows)


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
