"""Exposed units as SQL: who saw which variant, and when first."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from events.store.base import MULTIPLE
from events.store.conditions import Statement, all_of, any_of
from events.store.plans import ExposurePlan, MultipleVariants, Selection

FLAG_CALL = "$feature_flag_called"


def by_day(plan: ExposurePlan, statement: Statement) -> str:
    """Rows of arm, day of first exposure and number of units."""
    zone = statement.bind(plan.zone)
    return f"""
        WITH {exposed(plan, statement)}
        SELECT arm, (first_time AT TIME ZONE {zone})::date, count(*) FROM exposed GROUP BY 1, 2
    """


def exposed(
    plan: ExposurePlan,
    statement: Statement,
    *,
    kept_rows: str | None = None,
    gaps: Sequence[tuple[datetime, datetime]] | None = None,
) -> str:
    """Common table expressions that end in `exposed (unit, arm, first_time, first_uuid)`: one row per exposed unit.

    Of rows with equal time the one with the smallest uuid is the first. `kept_rows` selects rows kept in advance;
    then the events are read in the `gaps` between them only, both ends of each included.
    """
    rows = _exposure_rows(plan, statement, gaps=gaps)
    if kept_rows is not None:
        rows = f"{rows} UNION ALL {kept_rows}"
    arm = "(array_agg(variant ORDER BY time, uuid))[1]"
    if plan.handling is MultipleVariants.EXCLUDE:
        arm = f"CASE WHEN min(variant) = max(variant) THEN min(variant) ELSE {statement.bind(MULTIPLE)} END"
    tables = [
        f"exposure_rows AS ({rows})",
        f"""seen AS (
            SELECT unit, {arm} AS arm, min(time) AS first_time, (array_agg(uuid ORDER BY time, uuid))[1] AS first_uuid
            FROM exposure_rows GROUP BY unit
        )""",
    ]
    if plan.activation is None:
        tables.append("exposed AS (SELECT unit, arm, first_time, first_uuid FROM seen)")
    else:
        tables += [
            f"activation_rows AS ({_rows(plan, statement, selection=plan.activation, columns=', events.uuid')})",
            """exposed AS (
                SELECT DISTINCT ON (seen.unit)
                    seen.unit, seen.arm, activation_rows.time AS first_time, activation_rows.uuid AS first_uuid
                FROM seen JOIN activation_rows
                    ON activation_rows.unit = seen.unit AND activation_rows.time >= seen.first_time
                ORDER BY seen.unit, activation_rows.time, activation_rows.uuid
            )""",
        ]
    return ", ".join(tables)


def attempts(plan: ExposurePlan, statement: Statement) -> str:
    """Rows of unit, time and uuid with which an attempt at a funnel may begin: all exposures, or activations."""
    if plan.activation is None:
        return _exposure_rows(plan, statement)
    return _rows(plan, statement, selection=plan.activation, columns=", events.uuid")


def rows_as_ingested(plan: ExposurePlan, statement: Statement) -> str:
    """Rows of unit, time, uuid and variant, of any variant; persons by the ids known at ingest."""
    return _exposure_rows(replace(plan, variants=()), statement, as_ingested=True)


def _exposure_rows(
    plan: ExposurePlan,
    statement: Statement,
    *,
    gaps: Sequence[tuple[datetime, datetime]] | None = None,
    as_ingested: bool = False,
) -> str:
    """Rows of unit, time, uuid and variant; responses that are no variant of the analysis are left out."""
    if plan.selection is None:
        variant = "events.flag_response"
    else:
        variant = f"events_text(events.properties -> {statement.bind(f'$feature/{plan.flag_key}')})"
    conditions = [
        f"{variant} IS NOT NULL" if as_ingested else f"{variant} = ANY({statement.bind(list(plan.variants))})"
    ]
    if gaps is not None:
        conditions.append(
            any_of(
                [f"events.timestamp BETWEEN {statement.bind(first)} AND {statement.bind(last)}" for first, last in gaps]
            )
        )
    if plan.selection is None:
        # The name is written out, so that the index on flag calls serves.
        conditions += [f"events.event = '{FLAG_CALL}'", f"events.flag_key = {statement.bind(plan.flag_key)}"]
    return _rows(
        plan,
        statement,
        selection=plan.selection,
        columns=f", events.uuid, {variant} AS variant",
        conditions=conditions,
        as_ingested=as_ingested,
    )


def _rows(
    plan: ExposurePlan,
    statement: Statement,
    *,
    selection: Selection | None,
    columns: str,
    conditions: list[str] | None = None,
    as_ingested: bool = False,
) -> str:
    unit = "events.person_id" if as_ingested else "coalesce(overrides.person_id, events.person_id)"
    if plan.unit_group is not None:
        unit = f"events.group_{plan.unit_group:d}"
    # Joins of one statement's conditions, not of those before it in the same query.
    part = statement.part()
    every = [
        f"events.project_id = {part.bind(plan.project_id)}",
        f"events.timestamp >= {part.bind(plan.start)}",
        f"events.timestamp <= {part.bind(plan.end)}",
        *(conditions or []),
        *(part.condition(condition) for condition in plan.test_account_conditions),
    ]
    if selection is not None:
        every.append(part.selection(selection))
    if plan.unit_group is not None:
        every.append(f"{unit} <> ''")
    return f"""
        SELECT {unit} AS unit, events.timestamp AS time{columns}
        FROM {part.events(project_id=plan.project_id, start=plan.start, end=plan.end)}
        {part.joins(with_overrides=plan.unit_group is None and not as_ingested)}
        WHERE {all_of(every)}
    """
