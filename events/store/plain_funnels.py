"""Plain funnels (`funnel_kinds.is_plain`): each step is a minimum, which is far less work than following row by row."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from events.store.measures import Funnel
from events.store.parts import Parts


def reached(parts: Parts, measure: Funnel) -> str:
    """Tables that end in `reached (unit, breakdown, arm, reached, came_before)`: a row per exposed unit."""
    tables = [f"units AS MATERIALIZED ({parts.units()})"]
    for number, step in enumerate(measure.steps, start=1):
        rows = f"({parts.rows_of_step(step)}) AS rows"
        if number > 1:
            before = f"step_{number - 1}"
            rows += f" JOIN {before} ON {before}.unit = rows.unit AND rows.time >= {before}.time"
        elif not parts.all_count(step):
            rows += " JOIN units ON units.unit = rows.unit AND rows.time >= units.first_time"
        tables.append(
            f"step_{number} AS MATERIALIZED (SELECT rows.unit, min(rows.time) AS time FROM {rows} GROUP BY rows.unit)"
        )
    came_before, joins = "FALSE", ""
    if parts.lookback is not None:
        tables.append(
            f"""earlier AS (
                SELECT DISTINCT rows.unit FROM ({parts.rows_of_step(measure.steps[-1])}) AS rows
                JOIN units ON units.unit = rows.unit AND {parts.is_before()}
            )"""
        )
        came_before, joins = "earlier.unit IS NOT NULL", "LEFT JOIN earlier ON earlier.unit = units.unit"
    # Who reached a step reached those before it.
    furthest = " + ".join(f"(step_{number}.unit IS NOT NULL)::int" for number in range(1, len(measure.steps) + 1))
    joins += "".join(
        f" LEFT JOIN step_{number} ON step_{number}.unit = units.unit" for number in range(1, len(measure.steps) + 1)
    )
    tables.append(
        f"""reached AS (
            SELECT units.unit, units.breakdown, units.arm, {furthest} AS reached, {came_before} AS came_before
            FROM units {joins}
        )"""
    )
    return ", ".join(tables)
