"""Whom a group of conditions would reach, among the persons or groups that are stored.

Counted with the evaluator itself, so that what it says is what flags will do.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from common.errors import Invalid
from common.matching import Moment
from events.models import CohortMembership, Group, Person
from feature_flags.evaluation.conditions import CohortCondition, Condition, FlagCondition, Malformed, compile_condition
from feature_flags.evaluation.evaluate import Evaluator
from feature_flags.evaluation.subject import Subject
from feature_flags.project_definitions import ProjectDefinitions
from feature_flags.validation import check, parse, with_aggregation_copied

_BATCH = 2000


class BlastRadius(NamedTuple):
    """How many a group of conditions reaches, and of how many."""

    affected: int
    total: int


def blast_radius(
    *, project: ProjectDefinitions, condition: Any, group_type_index: int | None, now: datetime
) -> BlastRadius:
    """The persons, or groups of one type, that match the properties of a condition group.

    Its rollout, and what it asks of other flags, are left out of account. Raises Invalid for a group that could not
    be saved.
    """
    conditions = _conditions(condition, group_type_index, project)
    if group_type_index is None:
        everybody: QuerySet[Any] = Person.objects.filter(project_id=project.project_id)
    else:
        everybody = Group.objects.filter(project_id=project.project_id, group_type_index=group_type_index)
    total = everybody.count()
    if not conditions:
        return BlastRadius(total, total)
    moment = Moment(now, project.zone)
    if group_type_index is None:
        subjects = _persons(everybody, conditions, project, moment)
    else:
        subjects = _groups(everybody, project.definitions.group_types.get(group_type_index), moment)
    affected = 0
    for one in subjects:
        evaluator = Evaluator(project.definitions, one)
        affected += all(evaluator.holds(condition, group_type_index) for condition in conditions)
    return BlastRadius(affected, total)


def _conditions(stored: Any, group_type_index: int | None, project: ProjectDefinitions) -> list[Condition]:
    filters = parse({"groups": [stored], "aggregation_group_type_index": group_type_index})
    filters = with_aggregation_copied(filters)
    check(filters)
    try:
        compiled = [compile_condition(condition) for condition in filters["groups"][0].get("properties", [])]
    except Malformed as error:
        raise Invalid(f"The condition cannot be evaluated: {error}.") from error
    for condition in compiled:
        if isinstance(condition, CohortCondition):
            cohort = project.definitions.cohorts.get(condition.cohort_id)
            if cohort is None or cohort.refusal is not None:
                raise Invalid(
                    f"Cohort with id {condition.cohort_id} does not exist",
                    code="cohort_does_not_exist",
                    attr="filters",
                )
    return [condition for condition in compiled if not isinstance(condition, FlagCondition)]


def _persons(
    persons: QuerySet[Person], conditions: Iterable[Condition], project: ProjectDefinitions, moment: Moment
) -> Iterator[Subject]:
    static = _static_cohorts(conditions, project)
    last = 0
    # By key, batch after batch: no cursor is held open, and memory stays small however many persons there are.
    while batch := list(
        persons.filter(pk__gt=last).order_by("pk").values_list("pk", "properties", "created_at")[:_BATCH]
    ):
        members: dict[int, set[int]] = {}
        if static:
            rows = CohortMembership.objects.filter(cohort_id__in=static, person_id__in=[row[0] for row in batch])
            for person_id, cohort_id in rows.values_list("person_id", "cohort_id"):
                members.setdefault(person_id, set()).add(cohort_id)
        for person_id, properties, created_at in batch:
            yield Subject(
                distinct_id="",
                moment=moment,
                person=_mapping(properties),
                person_metadata={"created_at": created_at.astimezone(UTC).isoformat()},
                static_cohorts=frozenset(members.get(person_id, ())),
            )
        last = batch[-1][0]


def _static_cohorts(conditions: Iterable[Condition], project: ProjectDefinitions) -> set[int]:
    cohorts = project.definitions.cohorts
    found: set[int] = set()
    for condition in conditions:
        if isinstance(condition, CohortCondition):
            cohort = cohorts[condition.cohort_id]
            leaves = {leaf.cohort_id for leaf in cohort.leaves() if isinstance(leaf, CohortCondition)}
            found |= {number for number in (cohort.id, *leaves) if cohorts[number].tree is None}
    return found


def _groups(groups: QuerySet[Group], name: str | None, moment: Moment) -> Iterator[Subject]:
    if name is None:
        return
    last = 0
    while batch := list(
        groups.filter(pk__gt=last).order_by("pk").values_list("pk", "group_key", "group_properties")[:_BATCH]
    ):
        for _, key, properties in batch:
            known = {**_mapping(properties), "$group_key": key}
            yield Subject(distinct_id="", moment=moment, groups={name: key}, group_properties={name: known})
        last = batch[-1][0]


def _mapping(properties: Any) -> Mapping[str, Any]:
    return properties if isinstance(properties, dict) else {}
