"""Whom a group of conditions would reach, among the persons or groups that are stored: one count in the database."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from cohorts.calculation import membership
from common.errors import Invalid
from common.matching import Moment
from events.store.conditions import PERSON_METADATA, Statement, all_of
from events.store.plans import PropertyCondition, Subject
from feature_flags.evaluation.conditions import CohortCondition, Condition, FlagCondition, Malformed, compile_condition
from feature_flags.project_definitions import ProjectDefinitions
from feature_flags.validation import check, parse, with_aggregation_copied
from projects.models import Project

_PERSONS = "events_person persons WHERE persons.project_id = {project}"
_GROUPS = "events_group groups WHERE groups.project_id = {project} AND groups.group_type_index = {index}"
_GROUP_PROPERTIES = "(groups.group_properties || jsonb_build_object('$group_key', groups.group_key))"


class BlastRadius(NamedTuple):
    """How many a group of conditions reaches, and of how many."""

    affected: int
    total: int


def blast_radius(
    *, project: Project, definitions: ProjectDefinitions, condition: Any, group_type_index: int | None, now: datetime
) -> BlastRadius:
    """The persons, or groups of one type, that match the properties of a condition group.

    Its rollout, and what it asks of other flags, are left out of account. Raises Invalid for a group that could not
    be saved.
    """
    conditions = _conditions(condition, group_type_index, definitions)
    statement = Statement(moment=Moment(now, definitions.zone))
    tests = [_test(stored, compiled, statement, project) for stored, compiled in conditions]
    everybody = (_PERSONS if group_type_index is None else _GROUPS).format(
        project=statement.bind(project.pk), index=statement.bind(group_type_index)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FILTER (WHERE {all_of(tests)}), count(*) FROM {everybody}", statement.parameters
        )
        return BlastRadius(*cursor.fetchone())


def _conditions(
    stored: Any, group_type_index: int | None, definitions: ProjectDefinitions
) -> list[tuple[Mapping[str, Any], Condition]]:
    """The conditions to count by, as they are stored and compiled."""
    filters = parse({"groups": [stored], "aggregation_group_type_index": group_type_index})
    filters = with_aggregation_copied(filters)
    check(filters)
    properties = filters["groups"][0].get("properties", [])
    try:
        compiled = [compile_condition(condition) for condition in properties]
    except Malformed as error:
        raise Invalid(f"The condition cannot be evaluated: {error}.") from error
    for condition in compiled:
        if isinstance(condition, CohortCondition):
            cohort = definitions.definitions.cohorts.get(condition.cohort_id)
            if cohort is None or cohort.refusal is not None:
                raise Invalid(
                    f"Cohort with id {condition.cohort_id} does not exist",
                    code="cohort_does_not_exist",
                    attr="filters",
                )
    return [pair for pair in zip(properties, compiled, strict=True) if not isinstance(pair[1], FlagCondition)]


def _test(stored: Mapping[str, Any], compiled: Condition, statement: Statement, project: Project) -> str:
    if isinstance(compiled, CohortCondition):
        member = membership(statement=statement, project=project, cohort_id=compiled.cohort_id)
        return member if compiled.wanted else f"NOT ({member})"
    value = stored.get("value")
    kind = stored.get("type", "person")
    condition = PropertyCondition(
        subject=Subject.GROUP if kind == "group" else Subject.PERSON,
        key=stored["key"],
        operator=stored.get("operator") or "exact",
        value=tuple(value) if isinstance(value, list) else value,
    )
    if kind == "group":
        return statement.property(condition, document=_GROUP_PROPERTIES)
    if kind == "person_metadata":
        return statement.property(condition, document=PERSON_METADATA)
    return statement.of_person(condition, document="persons.properties")
