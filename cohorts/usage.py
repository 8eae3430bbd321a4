"""Who uses a cohort? The app above tells: it registers once, in its `AppConfig.ready()`.

Cohorts know nothing of flags, yet a cohort that an active flag asks about must stay, and stay computable.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cohorts.criteria import references_of
from cohorts.models import Cohort


@dataclass(frozen=True, slots=True, kw_only=True)
class UsingFlag:
    """A live flag with a condition on a cohort."""

    id: int
    key: str
    active: bool


# The live flags of a project with conditions on any of these cohorts, in ascending id.
FlagsUsing = Callable[[int, Collection[int]], list[UsingFlag]]
_flags_using: FlagsUsing = lambda project_id, cohort_ids: []  # noqa: E731  (a default, replaced as a value)


def register(flags_using: FlagsUsing) -> None:
    """Make `flags_using` the one that is asked from now on."""
    global _flags_using  # noqa: PLW0603  (set once, when the applications are ready)
    _flags_using = flags_using


def flags(cohort: Cohort) -> list[UsingFlag]:
    """The flags that ask about this cohort itself."""
    return _flags_using(cohort.project_id, [cohort.pk])


def flags_depending(cohort: Cohort) -> list[UsingFlag]:
    """The flags that ask about this cohort or about one that refers to it, directly or through others."""
    others = list(Cohort.objects.filter(project_id=cohort.project_id, deleted=False))
    reached, grew = {cohort.pk}, True
    while grew:
        more = {other.pk for other in others if references_of(other) & reached} - reached
        reached, grew = reached | more, bool(more)
    return _flags_using(cohort.project_id, reached)


def cohorts(cohort: Cohort) -> list[Cohort]:
    """The other live cohorts whose criteria refer to this one, in ascending id."""
    live = Cohort.objects.filter(project_id=cohort.project_id, deleted=False).exclude(pk=cohort.pk)
    return [other for other in live.order_by("pk") if cohort.pk in references_of(other)]
