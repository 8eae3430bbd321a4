"""Measures of exposed units as SQL: one value a unit, then sums over the units of an arm.

The exposed units of a results request lie in two tables of the connection (`exposed.py`), computed once for all
its metrics.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from datetime import timedelta

from events.store.measures import (
    Clamp,
    Math,
    Mean,
    Ratio,
    Retention,
    RetentionUnit,
    Value,
)
from events.store.parts import LARGEST, NO_SESSION, Parts

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
_SECONDS = {
    RetentionUnit.SECOND: 1,
    RetentionUnit.MINUTE: 60,
    RetentionUnit.HOUR: 3600,
    RetentionUnit.DAY: 86400,
    RetentionUnit.WEEK: 7 * 86400,
    RetentionUnit.MONTH: 30 * 86400,
}


# Over values of units: y, of a ratio its numerator and d the denominator; x and dx are those of the lookback.
_SUMS = {
    Mean: "sum(y), sum(y * y), sum(x), sum(x * x), sum(x * y)",
    Ratio: """sum(y), sum(y * y), sum(d), sum(d * d), sum(y * d), sum(x), sum(x * x), sum(x * y),
              sum(dx), sum(dx * dx), sum(d * dx), sum(x * dx), sum(y * dx), sum(d * x)""",
    Retention: "sum(y)::bigint",
}


def valued(parts: Parts, measure: Mean | Ratio | Retention, *, name: str = "valued") -> list[str]:
    """Tables that end in one of this name, (unit, breakdown, arm, y, x, d, dx): a row per unit that counts."""
    if isinstance(measure, Mean):
        tables, rows = _mean_values(parts, measure)
    elif isinstance(measure, Ratio):
        tables, rows = _ratio_values(parts, measure)
    else:
        tables, rows = _retention_values(parts, measure)
    return [*tables, f"{name} AS ({rows})"]


def sums(parts: Parts, measure: Mean | Ratio | Retention, tables: list[str]) -> str:
    """Rows of breakdown, arm, n and the sums of the measure over the table `valued`, with which `tables` end.

    Of a mean y, y², x, x², xy; of a ratio see the list; of a retention y.
    """
    clamps = {"y": Clamp(), "d": Clamp()}
    if isinstance(measure, Mean):
        clamps["y"] = measure.clamp
    elif isinstance(measure, Ratio):
        clamps = {"y": measure.numerator_clamp, "d": measure.denominator_clamp}
    y, more = _clamped(parts, clamps["y"], table="valued", column="y")
    d, more_below = _clamped(parts, clamps["d"], table="valued", column="d")
    more += more_below
    return f"""
        WITH {", ".join(tables + more)}
        SELECT breakdown, arm, count(*), {_SUMS[type(measure)]}
        FROM (
            SELECT valued.breakdown, valued.arm, {y} AS y, valued.x, {d} AS d, valued.dx
            FROM valued {_bounds_join(more)}
        ) AS clamped
        GROUP BY 1, 2
    """


def _mean_values(parts: Parts, measure: Mean) -> tuple[list[str], str]:
    covariate = parts.lookback is not None
    value = "coalesce(taken.y, 0)"
    if measure.threshold is not None:
        value = f"CASE WHEN {value} >= {parts.bind(min(measure.threshold, LARGEST))} THEN 1 ELSE 0 END"
    tables = [
        f"units AS MATERIALIZED ({parts.units()})",
        _values(parts, measure.value, name="taken", lookback=covariate),
    ]
    rows = f"""
        SELECT units.unit, units.breakdown, units.arm, ({value})::float8 AS y,
               {"coalesce(taken.x, 0)" if covariate else "0"}::float8 AS x, NULL::float8 AS d, NULL::float8 AS dx
        FROM units LEFT JOIN taken ON taken.unit = units.unit
    """
    return tables, rows


def _ratio_values(parts: Parts, measure: Ratio) -> tuple[list[str], str]:
    covariate = parts.lookback is not None
    tables = [
        f"units AS MATERIALIZED ({parts.units()})",
        _values(parts, measure.numerator, name="taken", lookback=covariate),
        _values(parts, measure.denominator, name="taken_below", lookback=covariate),
    ]
    rows = f"""
        SELECT units.unit, units.breakdown, units.arm, coalesce(taken.y, 0)::float8 AS y,
               {"coalesce(taken.x, 0)" if covariate else "0"}::float8 AS x,
               coalesce(taken_below.y, 0)::float8 AS d,
               {"coalesce(taken_below.x, 0)" if covariate else "0"}::float8 AS dx
        FROM units
        LEFT JOIN taken ON taken.unit = units.unit
        LEFT JOIN taken_below ON taken_below.unit = units.unit
    """
    return tables, rows


def _values(parts: Parts, value: Value, *, name: str, lookback: bool) -> str:
    """A table of unit, y and, with `lookback`, x; units without rows are missing."""
    if value.of_sessions:
        return _session_values(parts, value, name=name)
    aggregate = _ROWS_OF_MATH[value.math]
    if parts.window is None and not lookback and parts.all_count(value.selection):
        return f"""{name} AS (
            SELECT rows.unit, {aggregate} AS y FROM ({parts.rows_of_value(value)}) AS rows GROUP BY rows.unit
        )"""
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


def _session_values(parts: Parts, value: Value, *, name: str) -> str:
    plan = parts.plan.exposure
    session = f"nullif(nullif(events.session_id, ''), '{NO_SESSION}')"
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


def _retention_values(parts: Parts, measure: Retention) -> tuple[list[str], str]:
    """Only units that started; y is 1 for those that came back."""
    matured = ""
    if parts.plan.matured_only:
        span = timedelta(seconds=measure.last * _SECONDS[measure.unit])
        matured = f"WHERE anchors.time + {parts.bind(span)} <= {parts.bind(parts.plan.exposure.end)}"
    if measure.comes_back_later:
        completions, another = parts.rows_of_step(measure.completion), ""
    else:
        completions, another = parts.rows_with_uuid(measure.completion), "AND anchors.uuid <> rows.uuid"
    tables = [
        f"units AS MATERIALIZED ({parts.units(matured=False)})",
        f"anchors AS MATERIALIZED ({_anchors(parts, measure)})",
        f"""returned AS (
            SELECT DISTINCT anchors.unit
            FROM ({completions}) AS rows
            JOIN anchors ON anchors.unit = rows.unit AND rows.time >= anchors.time {another}
            WHERE {_came_back(parts, measure)}
        )""",
    ]
    rows = f"""
        SELECT units.unit, units.breakdown, units.arm,
               CASE WHEN returned.unit IS NULL THEN 0 ELSE 1 END::float8 AS y,
               0::float8 AS x, NULL::float8 AS d, NULL::float8 AS dx
        FROM anchors JOIN units ON units.unit = anchors.unit LEFT JOIN returned ON returned.unit = anchors.unit
        {matured}
    """
    return tables, rows


def _anchors(parts: Parts, measure: Retention) -> str:
    """The first or last start of each unit: unit, time and, where a start may complete another, uuid."""
    window = "" if parts.window is None else f" AND rows.time <= units.first_time + {parts.bind(parts.window)}"
    counts = f"units.unit = rows.unit AND rows.time >= units.first_time{window}"
    if measure.comes_back_later:
        end = "max" if measure.anchored_at_last else "min"
        rows = f"({parts.rows_of_step(measure.start)}) AS rows"
        if parts.window is not None or not parts.all_count(measure.start):
            rows += f" JOIN units ON {counts}"
        return f"SELECT rows.unit, {end}(rows.time) AS time FROM {rows} GROUP BY 1"
    direction = "DESC" if measure.anchored_at_last else "ASC"
    return f"""
        SELECT DISTINCT ON (rows.unit) rows.unit, rows.time, rows.uuid
        FROM ({parts.rows_with_uuid(measure.start)}) AS rows JOIN units ON {counts}
        ORDER BY rows.unit, rows.time {direction}, rows.uuid {direction}
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
