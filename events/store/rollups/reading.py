"""Sums from a rollup: as kept, with the persons of whom something has been stored since computed from their events."""

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self
from uuid import UUID

from django.db import connection

from events.store import preaggregation
from events.store.base import Exposures, StoreTimeout
from events.store.conditions import Statement, moment_of
from events.store.limits import stopped_at_the_limit
from events.store.measures import Actors, AggregatePlan, Aggregates, Funnel, Mean, Ratio, Sums
from events.store.parts import Parts
from events.store.plans import ExposurePlan
from events.store.rollups import changes, values
from events.store.rollups.plans import digest_of_units, digest_of_values, has_units, has_values
from events.store.units import ExposedUnits

_FIND = """
SELECT id, stored_before, as_of, by_day FROM events_rollup
WHERE experiment_id = %s AND project_id = %s AND digest = %s AND as_of <= %s
"""
_MEASURES = "SELECT digest, id, sums FROM events_rollupmeasure WHERE rollup_id = %s"
_UNITS_OF = """
SELECT arm, day, count(*) FROM events_rollupunit WHERE rollup_id = %s AND person_id = ANY(%s) GROUP BY 1, 2
"""
# Where less than this share of a sum is left without some persons, the digits lost on the way would be seen.
_SHARE_LEFT = 1e-4
_LARGEST_COUNT = 2**53
_NAMES = [field.name for field in fields(Sums) if field.name not in ("n", "step_counts")]


@dataclass(frozen=True, slots=True)
class _Measure:
    id: int
    sums: dict[str, Sums]


class RolledUpUnits:
    """The units of an exposure plan with a rollup. Usable until its snapshot ends or another plan's are exposed."""

    is_precomputed = True

    @classmethod
    def found(cls, plan: ExposurePlan, *, experiment_id: int) -> Self | None:
        """None when there is no rollup of the plan, or when too much has changed since for it to be of use."""
        if not has_units(plan):
            return None
        with connection.cursor() as cursor:
            cursor.execute(_FIND, [experiment_id, plan.project_id, digest_of_units(plan), plan.end])
            row = cursor.fetchone()
        if row is None:
            return None
        rollup_id, stored_before, as_of, by_day = row
        persons = changes.changed(plan, rollup_id=rollup_id, stored_before=stored_before, as_of=as_of)
        if persons is None:
            return None
        return cls(plan, experiment_id=experiment_id, rollup_id=rollup_id, by_day=by_day, persons=persons)

    def __init__(
        self, plan: ExposurePlan, *, experiment_id: int, rollup_id: int, by_day: str, persons: Sequence[UUID]
    ) -> None:
        self.plan = plan
        self.experiment_id = experiment_id
        self.persons = persons
        self._changed = ExposedUnits(plan, persons=persons)
        self._exposures = self._counted(rollup_id, by_day)
        self._measures = _measures_of(rollup_id)
        self._sums: dict[AggregatePlan, Aggregates] = {}
        self._all: ExposedUnits | None = None
        self._takes_too_long = False

    def by_day(self) -> Exposures:
        """How many units were exposed, by arm and day."""
        return self._exposures

    def is_precomputed_for(self, plan: AggregatePlan) -> bool:
        """Whether the rollup knows of the measure, or else whether the units were kept in advance."""
        return plan in self._sums or (self._all is not None and self._all.is_precomputed)

    def expect(self, plans: Sequence[AggregatePlan]) -> None:
        """Compute what the rollup knows of, and read the events of the rest at once."""
        if self._all is not None:
            self._all.expect(plans)
            return
        known = [plan for plan in plans if has_values(plan) and digest_of_values(plan) in self._measures]
        if self.persons:
            self._changed.expect(known)
        for plan in known:
            try:
                with stopped_at_the_limit():
                    self._sums[plan] = self._summed(plan)
            except StoreTimeout:
                # It is read from the events with the rest.
                continue
        rest = [plan for plan in plans if plan not in self._sums]
        if rest:
            # Whoever asks for one of these is told that it takes too long; the others are there.
            with suppress(StoreTimeout):
                self._everyone().expect(rest)

    def aggregate(self, plan: AggregatePlan) -> Aggregates:
        """The sums of a measure, as `ExposedUnits` has them."""
        if plan.exposure != self.plan:
            raise ValueError("the plan is about other units than those exposed")
        if plan not in self._sums and self._all is None:
            self.expect([plan])
        return self._sums[plan] if plan in self._sums else self._everyone().aggregate(plan)

    def actors(self, plan: AggregatePlan, *, values: Collection[tuple[str, ...]] | None = None) -> Actors:
        """Some units of a funnel, as `ExposedUnits` has them."""
        return self._everyone().actors(plan, values=values)

    def _everyone(self) -> ExposedUnits:
        """All units, from their events; those that have changed are not in the tables any more.

        Raises StoreTimeout when it takes too long, and at once when it did before.
        """
        if self._takes_too_long:
            raise StoreTimeout("the exposures took longer than a statement may")
        if self._all is None:
            try:
                with stopped_at_the_limit():
                    kept = preaggregation.kept(self.plan, experiment_id=self.experiment_id)
                    self._all = ExposedUnits(self.plan, kept=kept)
            except StoreTimeout:
                self._takes_too_long = True
                raise
        return self._all

    def _counted(self, rollup_id: int, by_day: str) -> Exposures:
        found: dict[tuple[str, date], int] = {
            (arm, date.fromisoformat(day)): units for arm, day, units in json.loads(by_day)
        }
        if self.persons:
            with connection.cursor() as cursor:
                cursor.execute(_UNITS_OF, [rollup_id, list(self.persons)])
                for arm, day, units in cursor.fetchall():
                    found[arm, day] -= units
            for place, units in self._changed.by_day().by_day.items():
                found[place] = found.get(place, 0) + units
        return Exposures(by_day={place: units for place, units in found.items() if units})

    def _summed(self, plan: AggregatePlan) -> Aggregates:
        measure = self._measures[digest_of_values(plan)]
        if _is_clamped(plan):
            return values.sums_with(measure.id, self._changed.parts(plan), instead_of=self.persons)
        if not self.persons:
            return {((), arm): sums for arm, sums in measure.sums.items()}
        before = values.sums(measure.id, Parts(plan, Statement(moment=moment_of(self.plan))), of=self.persons)
        now = self._changed.aggregate(plan)
        found: Aggregates = {}
        for arm in {*measure.sums, *(arm for _, arm in now)}:
            nothing = _nothing(plan)
            kept, gone = measure.sums.get(arm, nothing), before.get(((), arm), nothing)
            if isinstance(plan.measure, Mean | Ratio) and _loses_digits(kept, gone):
                return values.sums_with(measure.id, self._changed.parts(plan), instead_of=self.persons)
            total = _plus(_plus(kept, gone, sign=-1), now.get(((), arm), nothing))
            if total.n:
                found[(), arm] = total
        return found


def _measures_of(rollup_id: int) -> dict[str, _Measure]:
    with connection.cursor() as cursor:
        cursor.execute(_MEASURES, [rollup_id])
        return {
            digest: _Measure(id=number, sums={arm: Sums(**kept) for arm, kept in _loaded(sums).items()})
            for digest, number, sums in cursor.fetchall()
        }


def _loaded(sums: str) -> dict[str, dict[str, Any]]:
    """As written. PostgreSQL writes out large floats, digit by digit; no count has so many digits."""
    found: dict[str, dict[str, Any]] = json.loads(sums, parse_int=lambda digits: _number(int(digits)))
    return found


def _number(whole: int) -> int | float:
    return whole if abs(whole) < _LARGEST_COUNT else float(whole)


def _is_clamped(plan: AggregatePlan) -> bool:
    """Whether all values have to be looked at: their order statistics bound each of them."""
    measure = plan.measure
    if isinstance(measure, Mean):
        return not measure.clamp.is_open
    return isinstance(measure, Ratio) and not (measure.numerator_clamp.is_open and measure.denominator_clamp.is_open)


def _nothing(plan: AggregatePlan) -> Sums:
    steps = len(plan.measure.steps) if isinstance(plan.measure, Funnel) else 0
    return Sums(step_counts=[0] * steps)


def _loses_digits(kept: Sums, gone: Sums) -> bool:
    """Whether a sum without what is gone would be a small difference of large numbers."""
    return gone.n < kept.n and any(
        getattr(gone, name) and abs(getattr(kept, name) - getattr(gone, name)) < _SHARE_LEFT * abs(getattr(kept, name))
        for name in _NAMES
    )


def _plus(one: Sums, other: Sums, *, sign: int = 1) -> Sums:
    """The sums of both, or with the sign -1 of the one without the other."""
    added = {name: getattr(one, name) + sign * getattr(other, name) for name in ("n", *_NAMES)}
    steps = [a + sign * b for a, b in zip(one.step_counts, other.step_counts, strict=True)]
    # Where nobody is left, nothing of rounding is left either.
    return Sums(**added, step_counts=steps) if added["n"] else Sums(step_counts=steps)
