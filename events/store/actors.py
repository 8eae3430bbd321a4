"""Single units that got as far as each step of a funnel: small samples, for people who want to look at cases."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from events.store.funnels import Row, reached_by
from events.store.measures import Actor, Actors, Funnel

# How many units are shown of each step.
SAMPLE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Breakdown values and arm, and per step the events of its units by time and uuid.
Found = dict[tuple[tuple[str, ...], str], list[list[tuple[datetime, UUID]]]]

UNTOUCHED = f"""
SELECT breakdown, arm, first_time, first_uuid
FROM (
    SELECT units.*, row_number() OVER (PARTITION BY breakdown, arm ORDER BY first_time, first_uuid) AS place
    FROM units WHERE units.unit NOT IN (SELECT unit FROM hits)
) AS untouched
WHERE place <= {SAMPLE:d}
"""
EVENTS = """
SELECT asked.place, coalesce(overrides.person_id, events.person_id), nullif(events.session_id, '')
FROM json_to_recordset(%s::json) AS asked (place integer, timestamp timestamptz, uuid uuid)
JOIN events_event events
    ON events.project_id = %s AND events.timestamp = asked.timestamp AND events.uuid = asked.uuid
LEFT JOIN events_personoverride overrides
    ON overrides.project_id = events.project_id AND overrides.old_person_id = events.person_id
"""


class Sampling:
    """Collects, for each step, the events that took some units there."""

    def __init__(self, measure: Funnel, *, window: float, values: Collection[tuple[str, ...]] | None) -> None:
        self.measure = measure
        self.window = window
        self.values = values
        self.found: Found = {}

    def add_units(self, units: Iterable[tuple[Any, Sequence[Row], Sequence[UUID]]]) -> None:
        """Units with rows of any step: their key (unit, breakdown values, arm, first time), rows and uuids."""
        for (_, values, arm, first), rows, uuids in units:
            counted = [place for place, (time, _) in enumerate(rows) if time >= first]
            step, serving = reached_by(
                [rows[place] for place in counted],
                steps=len(self.measure.steps),
                order=self.measure.order,
                window=self.window,
            )
            place = counted[serving]
            self._add(values, arm, step, _EPOCH + timedelta(microseconds=int(rows[place][0])), uuids[place])

    def add_untouched(self, rows: Iterable[tuple[Sequence[str], str, datetime, UUID]]) -> None:
        """Units with no row of any step: their breakdown values, arm and first exposure."""
        for values, arm, time, uuid in rows:
            self._add(tuple(values), arm, 0, time, uuid)

    def _add(self, values: tuple[str, ...], arm: str, step: int, time: datetime, uuid: UUID) -> None:
        if self.values is not None and values not in self.values:
            return
        steps = self.found.setdefault((values, arm), [[] for _ in range(len(self.measure.steps) + 1)])
        if len(steps[step]) < SAMPLE:
            steps[step].append((time, uuid))

    def asked(self) -> str:
        """The events as a parameter of `EVENTS`."""
        return orjson.dumps(
            [{"place": place, "timestamp": time, "uuid": uuid} for place, (time, uuid) in enumerate(self._events())]
        ).decode()

    def _events(self) -> list[tuple[datetime, UUID]]:
        return [event for steps in self.found.values() for step in steps for event in step]

    def actors(self, rows: Iterable[tuple[int, UUID, str | None]]) -> Actors:
        """The sample, from the rows of `EVENTS`."""
        known = {place: (person, session) for place, person, session in rows}
        events = enumerate(self._events())
        made: Actors = {}
        for key, steps in self.found.items():
            made[key] = [
                [
                    Actor(*known[place], uuid, time)
                    for place, (time, uuid) in (next(events) for _ in step)
                    if place in known
                ]
                for step in steps
            ]
        return made
