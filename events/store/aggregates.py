"""Measures of exposed units as SQL: one value a unit, then sums over the units of an arm.

The exposed units of a results request lie in two tables of the connection (`exposed.py`), computed once for all
its metrics.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from events.store import shared_rows
from events.store.conditions import Statement, all_of, any_of
from events.store.exposed import UNITS, unit_column
from events.store.measures import (
    NO_BREAKDOWN_VALUE,
    AggregatePlan,
    Clamp,
    Math,
    Mean,
    Ratio,
    Retention,
    RetentionUnit,
    Value,
)
from events.store.plans import Selection
from events.store.shared_rows import SharedRows, Taken, taken_of

_ROWS_OF_MATH = {
    Math.TOTAL: "count(*)",
    Math.SUM: "sum(rows.value)",
    Math.MIN: "min(rows.value)",
    Math.MAX: "max(rows.value)",
    Math.AVG: "avg(rows.value)",
    Math.UNIQUE_SESSION: "count(DISTINCT rows.mark)",
    Math.DAU: "count(DISTINCT rows.mark)",
    Math.UNIQUE_GROUP: "count(DISTINCT rows.mark)",
}
_NO_SESSION = "00000000-0000-0000-0000-000000000000"
# Beyond these a number's square, or a sum of squares, is beyond what a float holds, and the statement fails.
# Such a number counts as the bound: the sums are unusable with either.
_LARGEST, _SMALLEST = 1e100, 1e-100
_SECONDS = {
    RetentionUnit.SECOND: 1,
    RetentionUnit.MINUTE: 60,
    RetentionUnit.HOUR: 3600,
    RetentionUnit.DAY: 86400,
    RetentionUnit.WEEK: 7 * 86400,
    RetentionUnit.MONTH: 30 * 86400,
}


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
        part = self._part()
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

    def rows_with_uuid(self, selection: Selection) -> str:
        """Matching events with their uuid."""
        if self.shared is not None and selection in self.shared.bits:
            return self._shared_rows(self.shared, selection, columns=", shared.uuid")
        return self.rows(selection, columns=", events.uuid")

    def _shared_rows(self, shared: SharedRows, selection: Selection, *, columns: str) -> str:
        return f"""
            SELECT shared.{self.unit} AS unit, shared.time{columns} FROM {shared_rows.ROWS} shared
            WHERE shared.mask & {1 << shared.bits[selection]} <> 0
        """

    def sharing(self, shared: SharedRows) -> str:
        """The statement that fills the table of shared rows with those of exposed units."""
        part = self._part()
        tests = {selection: part.selection(selection) for selection in shared.bits}
        mask = " + ".join(
            f"CASE WHEN {tests[selection]} THEN {1 << bit}::bigint ELSE 0 END" for selection, bit in shared.bits.items()
        )
        columns = "".join(
            f", CASE WHEN {any_of([tests[selection] for selection in shared.needed_by[kind]])} "
            f"THEN {_taken(self, kind)} END AS {name}"
            for kind, name in shared.columns.items()
        )
        filled = ["time", "uuid", "mask", *shared.columns.values()]
        conditions = [any_of(list(tests.values()))]
        names = {step.event for selection in shared.bits for step in selection.steps}
        if None not in names:
            # Said again in a form for which the index on names serves.
            conditions.insert(0, f"events.event = ANY({part.bind(sorted(name for name in names if name is not None))})")
        rows = self._rows(part, columns=f", events.uuid, {mask} AS mask{columns}", conditions=conditions)
        return f"""
            INSERT INTO {shared_rows.ROWS} ({self.unit}, {", ".join(filled)})
            SELECT rows.unit, {", ".join(f"rows.{name}" for name in filled)}
            FROM ({rows}) AS rows
            JOIN {UNITS} units ON units.{self.unit} = rows.unit
                AND rows.time >= units.first_time - {self.bind(self.lookback or timedelta())}
        """

    def _part(self) -> Statement:
        """For a part of the statement: its own joins, the statement's parameters."""
        part = Statement(moment=self.statement.moment)
        part.parameters = self.statement.parameters
        return part

    def _rows(self, part: Statement, *, columns: str, conditions: list[str]) -> str:
        plan = self.plan.exposure
        unit = "coalesce(overrides.person_id, events.person_id)"
        if plan.unit_group is not None:
            unit = f"events.group_{plan.unit_group:d}"
        every = [
            f"events.project_id = {part.bind(plan.project_id)}",
            f"events.timestamp >= {part.bind(plan.start - (self.lookback or timedelta()))}",
            f"events.timestamp <= {part.bind(plan.end)}",
            *conditions,
        ]
        return f"""
            SELECT {unit} AS unit, events.timestamp AS time{columns}
            FROM events_event events
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
        if self.shared is not None and self.shared.holds(steps):
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
        part = self._part()
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


def mean_sums(parts: Parts, measure: Mean) -> str:
    """Rows of breakdown, arm, n, Σy, Σy², Σx, Σx², Σxy."""
    covariate = parts.lookback is not None
    tables = [
        f"units AS MATERIALIZED ({parts.units()})",
        _values(parts, measure.value, name="taken", lookback=covariate),
    ]
    value = "coalesce(taken.y, 0)"
    if measure.threshold is not None:
        value = f"CASE WHEN {value} >= {parts.bind(min(measure.threshold, _LARGEST))} THEN 1 ELSE 0 END"
    tables.append(
        f"""valued AS (
            SELECT units.breakdown, units.arm, ({value})::float8 AS y,
                   {"coalesce(taken.x, 0)" if covariate else "0"}::float8 AS x
            FROM units LEFT JOIN taken ON taken.unit = units.unit
        )"""
    )
    clamped, more = _clamped(parts, measure.clamp, table="valued", column="y")
    return f"""
        WITH {", ".join(tables + more)}
        SELECT valued.breakdown, valued.arm, count(*), sum(y), sum(y * y), sum(x), sum(x * x), sum(x * y)
        FROM (SELECT valued.breakdown, valued.arm, {clamped} AS y, valued.x FROM valued {_bounds_join(more)}) AS valued
        GROUP BY 1, 2
    """


def ratio_sums(parts: Parts, measure: Ratio) -> str:
    """Rows of breakdown, arm, n and the sums of m, d and their lookback values mx, dx: see the last SELECT."""
    covariate = parts.lookback is not None
    tables = [
        f"units AS MATERIALIZED ({parts.units()})",
        _values(parts, measure.numerator, name="taken", lookback=covariate),
        _values(parts, measure.denominator, name="taken_below", lookback=covariate),
    ]
    tables.append(
        f"""valued AS (
            SELECT units.breakdown, units.arm,
                   coalesce(taken.y, 0)::float8 AS m, coalesce(taken_below.y, 0)::float8 AS d,
                   {"coalesce(taken.x, 0)" if covariate else "0"}::float8 AS mx,
                   {"coalesce(taken_below.x, 0)" if covariate else "0"}::float8 AS dx
            FROM units
            LEFT JOIN taken ON taken.unit = units.unit
            LEFT JOIN taken_below ON taken_below.unit = units.unit
        )"""
    )
    above, more_above = _clamped(parts, measure.numerator_clamp, table="valued", column="m")
    below, more_below = _clamped(parts, measure.denominator_clamp, table="valued", column="d")
    more = more_above + more_below
    return f"""
        WITH {", ".join(tables + more)}
        SELECT breakdown, arm, count(*), sum(m), sum(m * m), sum(d), sum(d * d), sum(m * d), sum(mx), sum(mx * mx),
               sum(mx * m), sum(dx), sum(dx * dx), sum(d * dx), sum(mx * dx), sum(m * dx), sum(d * mx)
        FROM (
            SELECT valued.breakdown, valued.arm, {above} AS m, {below} AS d, valued.mx, valued.dx
            FROM valued {_bounds_join(more)}
        ) AS clamped
        GROUP BY 1, 2
    """


def _values(parts: Parts, value: Value, *, name: str, lookback: bool) -> str:
    """A table of unit, y and, with `lookback`, x; units without rows are missing."""
    if value.of_sessions:
        return _session_values(parts, value, name=name)
    aggregate = _ROWS_OF_MATH[value.math]
    columns = f"{aggregate} FILTER (WHERE {parts.is_after()}) AS y"
    if lookback:
        columns += f", {aggregate} FILTER (WHERE {parts.is_before()}) AS x"
    bounds = [parts.is_after()]
    if lookback:
        bounds.append(parts.is_before())
    within = " OR ".join(f"({bound})" for bound in bounds)
    return f"""{name} AS (
        SELECT rows.unit, {columns}
        FROM ({parts.rows_of_value(value)}) AS rows
        JOIN units ON units.unit = rows.unit AND ({within})
        GROUP BY rows.unit
    )"""


def _taken(parts: Parts, kind: Taken) -> str:
    """What is taken of a row."""
    math, name = kind
    if math is Math.UNIQUE_SESSION:
        return f"nullif(nullif(events.session_id, ''), '{_NO_SESSION}')"
    if math is Math.DAU:
        return f"nullif({_person(parts)}::text, '{_NO_SESSION}')"
    if math is Math.UNIQUE_GROUP:
        return f"nullif(nullif(events.group_{name:d}, ''), '{_NO_SESSION}')"
    number = f"(events.properties -> {parts.bind(name)})"
    # Most numbers need no closer look, which takes longer than all the rest.
    return f"""CASE
        WHEN jsonb_typeof({number}) = 'number' AND abs({number}::numeric) BETWEEN 1e-30 AND 1e30 THEN {number}::float8
        WHEN {number} IS NULL THEN 0
        WHEN abs(events_number({number})) > {_LARGEST} THEN sign(events_number({number})) * {_LARGEST}
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


def _session_values(parts: Parts, value: Value, *, name: str) -> str:
    plan = parts.plan.exposure
    session = f"nullif(nullif(events.session_id, ''), '{_NO_SESSION}')"
    durations = f"""
        SELECT events.session_id, min(events.timestamp) AS time,
               extract(epoch FROM max(events.timestamp) - min(events.timestamp))::float8 AS seconds
        FROM events_event events
        WHERE events.project_id = {parts.bind(plan.project_id)} AND events.timestamp <= {parts.bind(plan.end)}
          AND events.session_id IN (SELECT session_id FROM {name}_sessions)
        GROUP BY events.session_id
    """
    aggregate = {Math.SUM: "sum", Math.MIN: "min", Math.MAX: "max"}.get(value.math, "avg")
    return f"""{name}_sessions AS (
        SELECT DISTINCT rows.unit, rows.session_id
        FROM ({parts.rows(value.selection, columns=f", {session} AS session_id")}) AS rows
        WHERE rows.session_id IS NOT NULL
    ), {name} AS (
        SELECT sessions.unit, {aggregate}(durations.seconds) AS y, 0 AS x
        FROM {name}_sessions AS sessions
        JOIN ({durations}) AS durations ON durations.session_id = sessions.session_id
        JOIN units ON units.unit = sessions.unit AND {parts.is_after("durations.time")}
        GROUP BY sessions.unit
    )"""


def _clamped(parts: Parts, clamp: Clamp, *, table: str, column: str) -> tuple[str, list[str]]:
    """The column winsorised, and the tables that this needs: the order statistics of each breakdown's whole pool."""
    if clamp.is_open:
        return f"{table}.{column}", []
    bounds = []
    for name, share, without_zeros in (("low", clamp.lower, False), ("high", clamp.upper, clamp.ignore_zeros)):
        pool = f" FILTER (WHERE {column} <> 0)" if without_zeros else ""
        if share is None:
            continue
        size = f"count(*){pool}"
        bounds.append(
            f"(array_agg({column} ORDER BY {column}){pool})"
            f"[least(floor({parts.bind(share)}::float8 * {size})::bigint, {size} - 1) + 1] AS {name}_{column}"
        )
    pools = f"bounds_{column} AS (SELECT breakdown, {', '.join(bounds)} FROM {table} GROUP BY breakdown)"
    clamped = f"{table}.{column}"
    if clamp.lower is not None:
        clamped = f"greatest({clamped}, bounds_{column}.low_{column})"
    if clamp.upper is not None:
        clamped = f"least({clamped}, bounds_{column}.high_{column})"
    return clamped, [pools]


def _bounds_join(tables: list[str]) -> str:
    names = [table.split(" ", 1)[0] for table in tables]
    return " ".join(f"JOIN {name} ON {name}.breakdown = valued.breakdown" for name in names)


def retention_sums(parts: Parts, measure: Retention) -> str:
    """Rows of breakdown, arm, units that started, and how many of them came back."""
    direction = "DESC" if measure.anchored_at_last else "ASC"
    window = "" if parts.window is None else f" AND rows.time <= units.first_time + {parts.bind(parts.window)}"
    matured = ""
    if parts.plan.matured_only:
        span = timedelta(seconds=measure.last * _SECONDS[measure.unit])
        matured = f"WHERE anchors.time + {parts.bind(span)} <= {parts.bind(parts.plan.exposure.end)}"
    return f"""
        WITH units AS MATERIALIZED ({parts.units(matured=False)}),
        anchors AS (
            SELECT DISTINCT ON (units.unit) units.unit, units.breakdown, units.arm, rows.time, rows.uuid
            FROM ({parts.rows_with_uuid(measure.start)}) AS rows
            JOIN units ON units.unit = rows.unit AND rows.time >= units.first_time{window}
            ORDER BY units.unit, rows.time {direction}, rows.uuid {direction}
        ),
        returned AS (
            SELECT DISTINCT anchors.unit
            FROM ({parts.rows_with_uuid(measure.completion)}) AS rows
            JOIN anchors ON anchors.unit = rows.unit AND anchors.uuid <> rows.uuid AND rows.time >= anchors.time
            WHERE {_came_back(parts, measure)}
        )
        SELECT anchors.breakdown, anchors.arm, count(*), count(returned.unit)
        FROM anchors LEFT JOIN returned ON returned.unit = anchors.unit
        {matured}
        GROUP BY 1, 2
    """


def _came_back(parts: Parts, measure: Retention) -> str:
    """The condition that a completion lies in its unit's retention window."""
    zone = parts.bind(parts.plan.exposure.zone)
    first, last = parts.bind(measure.first), parts.bind(measure.last)
    if measure.unit is RetentionUnit.DAY:
        days = f"((rows.time AT TIME ZONE {zone})::date - (anchors.time AT TIME ZONE {zone})::date)"
        return f"{days} BETWEEN {first} AND {last}"
    moved = f"make_interval(secs => {_SECONDS[measure.unit]})"
    time, anchor = "rows.time", "anchors.time"
    if measure.unit is RetentionUnit.HOUR:
        time, anchor = (f"date_trunc('hour', {name}, {zone})" for name in (time, anchor))
    return f"{time} BETWEEN {anchor} + {first} * {moved} AND {anchor} + {last} * {moved}"
