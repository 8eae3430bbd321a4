"""The values of units as they are kept, and sums over them."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Collection
from itertools import islice
from uuid import UUID

from django.db import connection

from events.store import aggregates
from events.store.exposed import UNITS
from events.store.funnel_sums import counted, funnel_values
from events.store.measures import AggregatePlan, Aggregates, Funnel
from events.store.parts import Parts
from events.store.units import ExposedUnits, summed

_ROWS_AT_ONCE = 10_000
_INTO = "INSERT INTO events_rollupvalue (measure_id, person_id, arm, y, x, d, dx)"


def keep(measure_id: int, units: ExposedUnits, plan: AggregatePlan) -> None:
    """Keep the values of these units, of which none are kept."""
    parts = units.parts(plan)
    measure = plan.measure
    number = parts.bind(measure_id)
    if isinstance(measure, Funnel):
        _keep_funnel(measure_id, parts, measure)
        return
    tables = ", ".join(aggregates.valued(parts, measure))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {tables} {_INTO} SELECT {number}, unit, arm, y, x, d, dx FROM valued", parts.statement.parameters
        )


def _keep_funnel(measure_id: int, parts: Parts, measure: Funnel) -> None:
    values = funnel_values(parts, measure)
    while chunk := list(islice(values, _ROWS_AT_ONCE)):
        listed, reached, came_before = zip(*chunk, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                {_INTO}
                SELECT %s, units.person, units.arm, listed.reached, listed.came_before::int, NULL, NULL
                FROM unnest(%s::uuid[], %s::int[], %s::bool[]) AS listed (person, reached, came_before)
                JOIN {UNITS} units ON units.person = listed.person
                """,
                [measure_id, list(listed), list(reached), list(came_before)],
            )
    with connection.cursor() as cursor:
        # Without a row of any step they are where they began.
        cursor.execute(
            f"{_INTO} SELECT %s, person, arm, 0, 0, NULL, NULL FROM {UNITS} ON CONFLICT DO NOTHING", [measure_id]
        )


def sums(measure_id: int, parts: Parts, *, of: Collection[UUID] | None = None) -> Aggregates:
    """The sums of the values that are kept, of all persons or of these."""
    condition = "" if of is None else f"AND kept.person_id = ANY({parts.bind(list(of))}::uuid[])"
    return _summed(parts, [_kept(measure_id, parts, condition, name="valued")])


def sums_with(measure_id: int, parts: Parts, *, instead_of: Collection[UUID]) -> Aggregates:
    """The sums of the values that are kept, with those of the exposed units in place of what was kept of persons."""
    condition = f"AND kept.person_id <> ALL({parts.bind(list(instead_of))}::uuid[])"
    measure = parts.plan.measure
    if isinstance(measure, Funnel):
        raise TypeError("the values of a funnel are counted, not added up")
    tables = [
        *aggregates.valued(parts, measure, name="fresh"),
        _kept(measure_id, parts, condition, name="kept_values"),
        "valued AS (SELECT * FROM fresh UNION ALL SELECT * FROM kept_values)",
    ]
    return _summed(parts, tables)


def _kept(measure_id: int, parts: Parts, condition: str, *, name: str) -> str:
    return f"""{name} AS (
        SELECT kept.person_id AS unit, '{{}}'::text[] AS breakdown, kept.arm, kept.y, kept.x, kept.d, kept.dx
        FROM events_rollupvalue kept WHERE kept.measure_id = {parts.bind(measure_id)} {condition}
    )"""


def _summed(parts: Parts, tables: list[str]) -> Aggregates:
    measure = parts.plan.measure
    if not isinstance(measure, Funnel):
        return summed(parts, measure, tables)
    sql = f"WITH {', '.join(tables)} SELECT breakdown, arm, y::int, x <> 0, count(*) FROM valued GROUP BY 1, 2, 3, 4"
    return counted(sql, parts.statement, measure)
