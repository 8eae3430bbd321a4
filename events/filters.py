"""Property filters of requests and stored documents, made into conditions of a plan; or refused, when not computed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from common import property_filters as shapes
from common.errors import Invalid
from common.shapes import problems
from events.store.plans import CohortCondition, Condition, PropertyCondition, Subject
from projects.models import Project
from projects.test_account_filters import why_no_cohort

_FILTERS: TypeAdapter[list[shapes.PropertyFilter]] = TypeAdapter(shapes.PropertyFilters)
_SUBJECTS = {"event": Subject.EVENT, "feature": Subject.EVENT, "person": Subject.PERSON, "group": Subject.GROUP}


class NotComputed(Invalid):
    """A filter that may be stored and has no meaning for stored events."""

    default_code = "unsupported-property-filter"


def read(sent: Any, *, name: str) -> list[shapes.PropertyFilter]:
    """The filters in a list of a request. Raises Invalid (attr None) that says what in `name` is wrong."""
    try:
        return _FILTERS.validate_python(shapes.listed_form(sent))
    except ValidationError as error:
        first = problems(error)[0]
        # Second in a location is the kind of filter, which is no place in the document.
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"][:1])
        place += "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"][2:])
        raise Invalid(f"{name}{place}: {first['msg']}") from error


def conditions(filters: Iterable[shapes.PropertyFilter], *, project: Project) -> tuple[Condition, ...]:
    """The conditions that the filters put on events. Raises NotComputed."""
    return tuple(_condition(one, project) for one in filters if not isinstance(one, shapes.EmptyFilter))


def person_conditions(filters: Iterable[shapes.PropertyFilter], *, project: Project) -> tuple[PropertyCondition, ...]:
    """The conditions that the filters put on persons. Raises NotComputed, also for filters on anything else."""
    made: list[PropertyCondition] = []
    for one in filters:
        if isinstance(one, shapes.EmptyFilter):
            continue
        condition = _condition(one, project)
        if not isinstance(condition, PropertyCondition) or condition.subject is not Subject.PERSON:
            raise NotComputed(f"Property filters of type '{one.type or 'event'}' cannot be computed.")
        made.append(condition)
    return tuple(made)


def stored_conditions(
    documents: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None, *, project: Project
) -> tuple[Condition, ...]:
    """The conditions of a stored list of filters; null and `{}` are none. Raises NotComputed or Invalid."""
    return conditions(read(documents or [], name="properties"), project=project)


def _condition(one: Any, project: Project) -> Condition:
    reason = shapes.why_not_computed(one)
    if reason is None and isinstance(one, shapes.CohortFilter):
        reason = why_no_cohort(one.value, project)
    if reason is not None:
        raise NotComputed(reason)
    if isinstance(one, shapes.CohortFilter):
        return CohortCondition(cohort_id=one.value, is_member=one.operator != "not_in")
    value = tuple(one.value) if isinstance(one.value, list) else one.value
    return PropertyCondition(
        subject=_SUBJECTS[one.type or "event"],
        key=one.key,
        operator=one.operator or "exact",
        value=value,
        group_type_index=(one.group_type_index or 0) if isinstance(one, shapes.GroupFilter) else None,
    )
