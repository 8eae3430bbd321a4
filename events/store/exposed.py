"""The exposed units of a results request in tables of the connection: computed once, read by each of its metrics.

The rows with which attempts at funnels begin are added when the first funnel needs them.
"""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from events.store import exposures, preaggregation, shared_rows
from events.store.conditions import Statement
from events.store.plans import ExposurePlan
from events.store.preaggregation import Kept

UNITS = "events_exposed_units"
ROWS = "events_exposed_rows"
# Made before the snapshot begins, which may write into them and make nothing itself.
TABLES = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS {UNITS} (
    person uuid, group_key text, arm text, first_time timestamptz, first_uuid uuid
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS {ROWS} (
    person uuid, group_key text, time timestamptz, uuid uuid
) ON COMMIT DELETE ROWS;
{shared_rows.TABLE}
"""
EMPTYING = f"DELETE FROM {UNITS}; DELETE FROM {ROWS}; {shared_rows.EMPTYING}"


def unit_column(plan: ExposurePlan) -> str:
    """The column that holds the units of a plan."""
    return "person" if plan.unit_group is None else "group_key"


def filling(plan: ExposurePlan, statement: Statement, *, kept: Kept | None) -> str:
    """The statement that puts the units of the plan into their table, with the help of rows kept in advance."""
    if kept is None:
        tables = exposures.exposed(plan, statement)
    else:
        kept_rows = preaggregation.kept_rows(plan, kept, statement)
        tables = exposures.exposed(plan, statement, kept_rows=kept_rows, gaps=kept.gaps(plan))
    return f"""
        WITH {tables}
        INSERT INTO {UNITS} ({unit_column(plan)}, arm, first_time, first_uuid)
        SELECT unit, arm, first_time, first_uuid FROM exposed
    """


def filling_rows(plan: ExposurePlan, statement: Statement) -> str:
    """The statement that puts the rows with which attempts may begin into their table; the units are in theirs."""
    column = unit_column(plan)
    return f"""
        INSERT INTO {ROWS} ({column}, time, uuid)
        SELECT attempts.unit, attempts.time, attempts.uuid FROM ({exposures.attempts(plan, statement)}) AS attempts
        JOIN {UNITS} units ON units.{column} = attempts.unit AND attempts.time >= units.first_time
    """


def counted_by_day(plan: ExposurePlan, statement: Statement) -> str:
    """The statement that counts the units in the tables: rows of arm, day of first exposure and number."""
    zone = statement.bind(plan.zone)
    return f"SELECT arm, (first_time AT TIME ZONE {zone})::date, count(*) FROM {UNITS} GROUP BY 1, 2"
