"""The exposed units of a results request in tables of the connection: computed once, read by each of its metrics."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from events.store import exposures
from events.store.conditions import Statement
from events.store.plans import ExposurePlan

UNITS = "events_exposed_units"
ROWS = "events_exposed_rows"
# Made before the snapshot begins, which may write into them and make nothing itself.
TABLES = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS {UNITS} (
    person uuid, group_key text, arm text, first_time timestamptz, first_uuid uuid
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS {ROWS} (
    person uuid, group_key text, time timestamptz, uuid uuid
) ON COMMIT DELETE ROWS
"""


def unit_column(plan: ExposurePlan) -> str:
    """The column that holds the units of a plan."""
    return "person" if plan.unit_group is None else "group_key"


def filling(plan: ExposurePlan, statement: Statement) -> str:
    """The statement that puts the units of the plan and their exposure rows into the tables."""
    column = unit_column(plan)
    attempts = "exposure_rows" if plan.activation is None else "activation_rows"
    return f"""
        WITH {exposures.exposed(plan, statement)},
        kept AS (
            INSERT INTO {ROWS} ({column}, time, uuid)
            SELECT attempts.unit, attempts.time, attempts.uuid FROM {attempts} AS attempts
            JOIN exposed ON exposed.unit = attempts.unit AND attempts.time >= exposed.first_time
        )
        INSERT INTO {UNITS} ({column}, arm, first_time, first_uuid)
        SELECT unit, arm, first_time, first_uuid FROM exposed
    """


def counted_by_day(plan: ExposurePlan, statement: Statement) -> str:
    """The statement that counts the units in the tables: rows of arm, day of first exposure and number."""
    zone = statement.bind(plan.zone)
    return f"SELECT arm, (first_time AT TIME ZONE {zone})::date, count(*) FROM {UNITS} GROUP BY 1, 2"
