"""Which events come from test accounts: the filters that a project keeps to leave them out of results.

Only filters that can be computed are kept. Cohorts stand above this app: `cohorts` tells in `AppConfig.ready()` how
to ask for one.
"""

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from common.errors import Invalid
from common.property_filters import CohortFilter, PropertyFilters, why_not_computed
from common.shapes import problems
from projects.models import Project

ATTR = "test_account_filters"
CohortExists = Callable[[Project, int], bool]

_adapter: TypeAdapter[list[Any]] = TypeAdapter(PropertyFilters)
_lookups: list[CohortExists] = []


def register_cohorts(exists: CohortExists) -> None:
    """Have `exists` say whether a project has a cohort with an id that is not deleted."""
    if exists not in _lookups:
        _lookups.append(exists)


def check(filters: Any, *, project: Project | None) -> None:
    """Raise Invalid unless `filters` is a list of filters that can be computed. A new project has no cohorts."""
    if not isinstance(filters, list):
        raise Invalid(
            f'Expected a list of items but got type "{type(filters).__name__}".', code="not_a_list", attr=ATTR
        )
    try:
        parsed = _adapter.validate_python(filters)
    except ValidationError as error:
        first = problems(error)[0]
        raise Invalid(f"{_place(first['loc'])}: {first['msg']}", attr=ATTR) from error
    for one in parsed:
        reason = why_not_computed(one)
        if reason is None and isinstance(one, CohortFilter):
            reason = why_no_cohort(one.value, project)
        if reason is not None:
            raise Invalid(reason, attr=ATTR)


def why_no_cohort(cohort_id: int, project: Project | None) -> str | None:
    """Why nothing can be asked about this cohort, in words for the caller; None when the project has it."""
    possible = 0 < cohort_id < 2**63  # what the column can hold
    if project is not None and possible and any(exists(project, cohort_id) for exists in _lookups):
        return None
    return f"Cohort with id {cohort_id} does not exist"


def _place(location: tuple[str | int, ...]) -> str:
    """`test_account_filters[0].key`. Second in a location is the kind of filter, which is no place in the document."""
    place = ATTR
    for part in (*location[:1], *location[2:]):
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return place
