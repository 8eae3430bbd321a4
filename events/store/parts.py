"""What the statements of measures are made of: the rows of events that match, and the exposed units that count."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from events.store import shared_rows
from events.store.conditions import Statement, all_of, any_of
from events.store.exposed import UNITS, unit_column
from events.store.measures import NO_BREAKDOWN_VALUE, AggregatePlan, Math, Value
from events.store.plans import Selection
from events.store.shared_rows import SharedRows, Taken, taken_of

NO_SESSION = "00000000-0000-0000-0000-000000000000"
# Beyond these a number's square, or a sum of squares, is beyond what a float holds, and the statement fails.
# Such a number counts as the bound: the sums are unusable with either.
LARGEST, _SMALLEST = 1e100, 1e-100


@dataclass(frozen=True, slots=True)
class Parts:
    """What every statement of a plan is made of."""

    plan: AggregatePlan
    statement: Statement
    # The rows that all measures of the request share, if they do.
    shared: SharedRows | None = None

    @property
    def unit(self) -> str:
        return unit_column(self.plan.exposure)

    @property
    def window(self) -> timedelta | None:
        seconds = self.plan.window_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def lookback(self) -> timedelta | None:
        seconds = self.plan.lookback_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    def bind(self, value: object) -> str:
        return self.statement.bind(value)

    def rows(self, selection: Selection, *, columns: str = "") -> str:
        """Matching events, up to the end of the window, with their unit and time."""
        part = self.statement.part()
        return self._rows(part, columns=columns, conditions=[part.selection(selection)])

    def rows_of_value(self, value: Value) -> str:
        """The rows of a value, with `value` or `mark` where its math takes one."""
        kind = taken_of(value)
        shared = self.shared
        if shared is not None and value.selection in shared.bits and (kind is None or kind in shared.columns):
            column = ""
            if kind is not None:
                column = f", shared.{shared.columns[kind]} AS {'value' if kind[0] is None else 'mark'}"
            return self._shared_rows(shared, value.selection, columns=column)
        column = ""
        if kind is not None:
            column = f", {_taken(self, kind)} AS {'value' if kind[0] is None else 'mark'}"
        return self.rows(value.selection, columns=column)

    def rows_of_step(self, selection: Selection) -> str:
        """Matching events with nothing more."""
        if self.shared is not None and selection in self.shared.bits:
            return self._shared_rows(self.shared, selection, columns="")
        return self.rows(selection)

    def all_count(self, selection: Selection) -> bool:
        """Whether the rows of the selection are those from their unit's exposure on, as they were read for all."""
        return self.shared is not None and selection in self.shared.bits and not self.shared.lookback_seconds

    def rows_with_uuid(self, selection: Selection) -> str:
        """Matching events with their uuid."""
        if self.shared is not None and self.shared.with_uuids and selection in self.shared.bits:
            return self._shared_rows(self.shared, selection, columns=", shared.uuid")
        return self.rows(selection, columns=", events.uuid")

    def _shared_rows(self, shared: SharedRows, selection: Selection, *, columns: str) -> str:
        return f"""
            SELECT shared.{self.unit} AS unit, shared.time{columns} FROM {shared_rows.ROWS} shared
            WHERE shared.mask & {1 << shared.bits[selection]} <> 0
        """

    def sharing(self, shared: SharedRows) -> str:
        """The statement that fills the table of shared rows with those of exposed units."""
        part = self.statement.part()
        tests = {selection: part.selection(selection) for selection in shared.bits}
        mask = " + ".join(
            f"CASE WHEN {tests[selection]} THEN {1 << bit}::bigint ELSE 0 END" for selection, bit in shared.bits.items()
        )
        columns = "".join(
            f", CASE WHEN {any_of([tests[selection] for selection in shared.needed_by[kind]])} "
            f"THEN {_taken(self, kind)} END AS {name}"
            for kind, name in shared.columns.items()
        )
        filled = ["time", "mask", *shared.columns.values()]
        if shared.with_uuids:
            filled.append("uuid")
        conditions = []
        names = {step.event for selection in shared.bits for step in selection.steps}
        if None not in names:
            # In a form for which the index on names serves.
            conditions.append(f"events.event = ANY({part.bind(sorted(name for name in names if name is not None))})")
        if not all(selection.is_of_names for selection in shared.bits):
            conditions.append(any_of(list(tests.values())))
        rows = self._rows(part, columns=f", events.uuid, {mask} AS mask{columns}", conditions=conditions)
        since = "units.first_time"
        if self.lookback is not None:
            since += f" - {self.bind(self.lookback)}"
        return f"""
            INSERT INTO {shared_rows.ROWS} ({self.unit}, {", ".join(filled)})
            SELECT rows.unit, {", ".join(f"rows.{name}" for name in filled)}
            FROM ({rows}) AS rows
            JOIN {UNITS} units ON units.{self.unit} = rows.unit AND rows.time >= {since}
        """

    def _rows(self, part: Statement, *, columns: str, conditions: list[str]) -> str:
        plan = self.plan.exposure
        unit = "coalesce(overrides.person_id, events.person_id)"
        if plan.unit_group is not None:
            unit = f"events.group_{plan.unit_group:d}"
        start = plan.start - (self.lookback or timedelta())
        every = [
            f"events.project_id = {part.bind(plan.project_id)}",
            f"events.timestamp >= {part.bind(start)}",
            f"events.timestamp <= {part.bind(plan.end)}",
            *conditions,
        ]
        return f"""
            SELECT {unit} AS unit, events.timestamp AS time{columns}
            FROM {part.events(project_id=plan.project_id, start=start, end=plan.end)}
            {part.joins(with_overrides=plan.unit_group is None)}
            WHERE {all_of(every)}
        """

    def units(self, *, matured: bool = True) -> str:
        """The exposed units that count, each with the values of its breakdowns."""
        plan = self.plan
        values = []
        for breakdown in plan.breakdowns:
            document = "persons.properties" if breakdown.of_person else "firsts.properties"
            # JSON null counts as missing.
            value = f"nullif({document} -> {self.bind(breakdown.property)}, 'null'::jsonb)"
            values.append(f"coalesce(events_text({value}), {self.bind(NO_BREAKDOWN_VALUE)})")
        joined = ""
        if plan.breakdowns:
            joined = f"""
                JOIN events_event firsts ON firsts.project_id = {self.bind(plan.exposure.project_id)}
                    AND firsts.timestamp = units.first_time AND firsts.uuid = units.first_uuid
            """
        if any(breakdown.of_person for breakdown in plan.breakdowns):
            joined += """
                LEFT JOIN events_personoverride overrides ON overrides.project_id = firsts.project_id
                    AND overrides.old_person_id = firsts.person_id
                LEFT JOIN events_person persons ON persons.project_id = firsts.project_id
                    AND persons.uuid = coalesce(overrides.person_id, firsts.person_id)
            """
        where = ""
        if matured and plan.matured_only and self.window is not None:
            where = f"WHERE units.first_time + {self.bind(self.window)} <= {self.bind(plan.exposure.end)}"
        listed = f"ARRAY[{', '.join(values)}]::text[]" if values else "'{}'::text[]"
        return f"""
            SELECT units.{self.unit} AS unit, units.arm, units.first_time, units.first_uuid, {listed} AS breakdown
            FROM {UNITS} units {joined} {where}
        """

    def rows_of_steps(self, steps: Sequence[Selection], *, number: str) -> str:
        """Events that match any step, as `rows` selects them, with uuid and a mask: bit k says that step k matches."""
        if self.shared is not None and self.shared.with_uuids and self.shared.holds(steps):
            places = [1 << self.shared.bits[step] for step in steps]
            moved = " + ".join(
                f"CASE WHEN shared.mask & {place} <> 0 THEN {2**bit}::{number} ELSE 0 END"
                for bit, place in enumerate(places, start=1)
            )
            every = sum(set(places))
            return f"""
                SELECT shared.{self.unit} AS unit, shared.time, shared.uuid, {moved} AS mask
                FROM {shared_rows.ROWS} shared WHERE shared.mask & {every} <> 0
            """
        part = self.statement.part()
        tests = [part.selection(step) for step in steps]
        bits = " + ".join(
            f"CASE WHEN {test} THEN {2**bit}::{number} ELSE 0 END" for bit, test in enumerate(tests, start=1)
        )
        return self._rows(part, columns=f", events.uuid, {bits} AS mask", conditions=[any_of(tests)])

    def is_after(self, time: str = "rows.time") -> str:
        """The condition that a row counts for its unit: from the exposure on, within the window."""
        window = "" if self.window is None else f" AND {time} < units.first_time + {self.bind(self.window)}"
        return f"{time} >= units.first_time{window}"

    def is_in_attempts(self) -> str:
        """The condition that a row may belong to an attempt of its unit's, the first or a later one."""
        return "rows.time >= units.first_time"

    def is_before(self, time: str = "rows.time") -> str:
        """The condition that a row lies in the lookback of its unit."""
        return f"{time} >= units.first_time - {self.bind(self.lookback)} AND {time} < units.first_time"


def _taken(parts: Parts, kind: Taken) -> str:
    """What is taken of a row."""
    math, name = kind
    if math is Math.UNIQUE_SESSION:
        return f"nullif(nullif(events.session_id, ''), '{NO_SESSION}')"
    if math is Math.DAU:
        return f"nullif({_person(parts)}::text, '{NO_SESSION}')"
    if math is Math.UNIQUE_GROUP:
        return f"nullif(nullif(events.group_{name:d}, ''), '{NO_SESSION}')"
    number = f"(events.properties -> {parts.bind(name)})"
    # Most numbers need no closer look, which takes longer than all the rest.
    return f"""CASE
        WHEN jsonb_typeof({number}) = 'number' AND abs({number}::numeric) BETWEEN 1e-30 AND 1e30 THEN {number}::float8
        WHEN {number} IS NULL THEN 0
        WHEN abs(events_number({number})) > {LARGEST} THEN sign(events_number({number})) * {LARGEST}
        WHEN abs(events_number({number})) > {_SMALLEST} THEN events_number({number})
        ELSE 0 END"""


def _person(parts: Parts) -> str:
    if parts.plan.exposure.unit_group is None:
        return "coalesce(overrides.person_id, events.person_id)"
    # Without the join of overrides in the statement, the person is looked up row by row.
    return """coalesce((
        SELECT person_id FROM events_personoverride merged
        WHERE merged.project_id = events.project_id AND merged.old_person_id = events.person_id
    ), events.person_id)"""
