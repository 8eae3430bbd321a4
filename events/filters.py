"""Property filters of requests and stored documents, made into conditions of a plan; or refused, when not computed."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from common import property_filters as shapes
from common.errors import Invalid
from common.shapes import listed, problems
from events.store.plans import CohortCondition, Condition, PropertyCondition, Subject

_FILTERS: TypeAdapter[list[shapes.PropertyFilter]] = TypeAdapter(shapes.PropertyFilters)
_SUBJECTS = {"event": Subject.EVENT, "feature": Subject.EVENT, "person": Subject.PERSON}
_NEVER_COMPUTED = frozenset({"is_cleaned_path_exact", "flag_evaluates_to"})
_MEMBERSHIP = {"in": True, "exact": True, "not_in": False}

# Tells which of these cohorts of a project are live. The app above, which has them, registers when it is ready.
LiveCohorts = Callable[[int, Collection[int]], Collection[int]]
_live_cohorts: LiveCohorts = lambda project_id, cohort_ids: ()  # noqa: E731  (a default, replaced as a value)


class NotComputed(Invalid):
    """A filter that may be stored and has no meaning for stored events."""

    default_code = "unsupported-property-filter"


def register_cohorts(live: LiveCohorts) -> None:
    """Make `live` the one that is asked for cohorts from now on."""
    global _live_cohorts  # noqa: PLW0603  (set once, when the applications are ready)
    _live_cohorts = live


def read(sent: Any) -> list[shapes.PropertyFilter]:
    """The filters in a list of a request. Raises Invalid (attr None) for what is none."""
    try:
        return _FILTERS.validate_python(shapes.listed_form(sent))
    except ValidationError as error:
        raise Invalid(f"Invalid property filter: {listed(problems(error))}") from error


def conditions(filters: Iterable[shapes.PropertyFilter], *, project_id: int) -> tuple[Condition, ...]:
    """The conditions that the filters put on events. Raises NotComputed."""
    made = [_condition(one) for one in filters if not isinstance(one, shapes.EmptyFilter)]
    _check_cohorts([one.cohort_id for one in made if isinstance(one, CohortCondition)], project_id=project_id)
    return tuple(made)


def stored_conditions(
    documents: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None, *, project_id: int
) -> tuple[Condition, ...]:
    """The conditions of a stored list of filters; null and `{}` are none. Raises NotComputed or Invalid."""
    return conditions(read(documents or []), project_id=project_id)


def _check_cohorts(cohort_ids: Collection[int], *, project_id: int) -> None:
    if not cohort_ids:
        return
    missing = set(cohort_ids) - set(_live_cohorts(project_id, cohort_ids))
    if missing:
        raise NotComputed(f"Cohort with id {min(missing)} does not exist")


def _condition(one: shapes.PropertyFilter) -> Condition:
    if isinstance(one, shapes.CohortFilter):
        operator = one.operator or "in"
        if operator not in _MEMBERSHIP:
            raise NotComputed(f"Operator '{operator}' cannot be computed.")
        return CohortCondition(cohort_id=one.value, is_member=_MEMBERSHIP[operator])
    kind = getattr(one, "type", None) or "event"
    if isinstance(one, shapes.GroupFilter):
        subject, index = Subject.GROUP, one.group_type_index or 0
    elif isinstance(one, shapes.EventFilter | shapes.PlainFilter) and kind in _SUBJECTS:
        subject, index = _SUBJECTS[kind], None
    else:
        raise NotComputed(f"Property filters of type '{kind}' cannot be computed.")
    operator = one.operator or "exact"
    if operator in _NEVER_COMPUTED:
        raise NotComputed(f"Operator '{operator}' cannot be computed.")
    return PropertyCondition(
        subject=subject, key=one.key, operator=operator, value=_frozen(one.value), group_type_index=index
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
