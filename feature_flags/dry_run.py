"""Trying a flag for somebody: the answer they would get, or would have got, with every step of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.errors import Invalid
from events import person_reading
from events.models import PersonDistinctId
from feature_flags import past_definition
from feature_flags.answers import Asked
from feature_flags.definitions_cache import cache
from feature_flags.explanation import explain
from feature_flags.identities import stored_identity
from feature_flags.models import FeatureFlag
from feature_flags.project_definitions import FlagRow, row_of
from projects.models import Project

_COLUMNS = frozenset(FlagRow._fields) | {"filters"}


def dry_run(
    *,
    project: Project,
    flag: FeatureFlag,
    distinct_id: str | None,
    person_id: str | None,
    groups: Mapping[str, str],
    moment: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """The flag evaluated as if it were active, at `moment` as it was then. Nothing is written.

    The person is named by one of its distinct ids or by its own id. Raises Missing for an unknown person id, Invalid
    unless exactly one is given, and for a moment the flag's history does not reach.
    """
    if (distinct_id is None) == (person_id is None):
        raise Invalid("Exactly one of distinct_id and person_id must be given.")
    who = _first_distinct_id(project, person_id) if person_id is not None else distinct_id or ""
    past = {} if moment is None or moment >= now else past_definition.fields_at(flag, moment)
    definitions = cache.of_project(project.pk)
    types = definitions.definitions.group_types
    stored = stored_identity(
        project_id=project.pk,
        distinct_id=who,
        groups={index: groups[name] for index, name in types.items() if name in groups},
        cohorts=[cohort.id for cohort in definitions.definitions.cohorts.values() if cohort.tree is None],
        flags=[flag.pk],
    )
    explained = explain(
        project=definitions,
        row=row_of(flag, **{name: value for name, value in past.items() if name in _COLUMNS}),
        asked=Asked(distinct_id=who, groups=groups),
        stored=stored,
        now=now if moment is None else moment,
    )
    evaluation = explained.evaluation
    return {
        "flag_key": explained.flag.key,
        "result": evaluation.value,
        "reason": evaluation.reason,
        "condition_index": evaluation.condition_index,
        "payload": explained.flag.payload(evaluation),
        "person_properties": dict(explained.person),
        "evaluation_distinct_id": distinct_id,
        "conditions": explained.conditions,
    }


def _first_distinct_id(project: Project, person_id: str) -> str:
    """The id a person is bucketed by when only the person is named: the first it had."""
    person = person_reading.find(project=project, key=person_id)
    ids = (
        PersonDistinctId.objects.filter(person=person).order_by("joined_at", "pk").values_list("distinct_id", flat=True)
    )
    return ids.first() or ""
