"""Making, changing, deleting and restoring cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

from django.db import transaction
from procrastinate.exceptions import AlreadyEnqueued

from activity.models import Activity
from cohorts import criteria, history, static_members, usage
from cohorts.models import Cohort
from common.documents import same_document
from common.errors import Invalid, InvalidState, Missing
from projects.models import Project, User


class CohortChanges(TypedDict, total=False):
    """What a caller may set; absent fields stay."""

    name: str
    description: str
    deleted: bool
    filters: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticSource:
    """Where the persons of a new static cohort come from, besides criteria."""

    csv: bytes | None = None
    person_uuids: Sequence[UUID] | None = None


@transaction.atomic
def create_cohort(
    *,
    project: Project,
    user: User,
    fields: CohortChanges,
    is_static: bool,
    source: StaticSource,
    folder: str | None,
) -> Cohort:
    """A new cohort. With criteria its calculation is queued; a CSV file and named persons count at once.

    Raises Invalid for criteria that cannot be computed, a file that cannot be read and a static cohort without source.
    """
    has_source = source.csv is not None or source.person_uuids is not None
    has_criteria = fields.get("filters") not in (None, {})
    if is_static and not has_source and not has_criteria:
        raise Invalid(
            "Invalid source for static cohort. Requires criteria, a csv, feature flag, existing cohort or query."
        )
    filters = _checked(fields.get("filters"), project=project) if has_criteria or not is_static else None
    named = None if source.csv is None else static_members.read_csv(source.csv)
    cohort = Cohort.objects.create(
        project=project,
        name=fields["name"],
        description=fields.get("description", ""),
        is_static=is_static,
        filters=dict(criteria.NO_CRITERIA) if filters is None else filters,
        folder=folder,
        created_by=user,
    )
    if named is not None:
        static_members.add(cohort=cohort, column=named[0], values=named[1])
    if source.person_uuids is not None:
        static_members.add_persons(cohort=cohort, uuids=source.person_uuids)
    if filters is not None:
        queue_calculation(cohort)
    history.record(cohort, user=user, activity=Activity.CREATED, before=None)
    return cohort


def _checked(filters: Any, *, project: Project, cohort_id: int | None = None) -> Any:
    parsed = criteria.parse(filters)
    criteria.check_references(parsed, project=project, cohort_id=cohort_id)
    return {"properties": filters["properties"]}


def lock_cohort(*, project: Project, cohort_id: int) -> Cohort:
    """The cohort with its row locked, deleted ones too. Raises Missing."""
    cohort = Cohort.objects.select_for_update(of=("self",)).filter(project=project, pk=cohort_id).first()
    if cohort is None:
        raise Missing
    cohort.project = project
    return cohort


@transaction.atomic
def update_cohort(*, project: Project, cohort_id: int, user: User, changes: CohortChanges) -> Cohort:
    """Change a cohort. New criteria queue its calculation; deleting also detaches it from its experiments.

    Raises Missing, or Invalid for a broken rule.
    """
    cohort = lock_cohort(project=project, cohort_id=cohort_id)
    before, was_deleted = history.snapshot(cohort), cohort.deleted
    if "filters" in changes and not same_document(changes["filters"], cohort.filters):
        _change_criteria(cohort, changes["filters"])
    for name in ("name", "description", "deleted"):
        if name in changes:
            setattr(cohort, name, changes[name])
    deleting, restoring = cohort.deleted and not was_deleted, was_deleted and not cohort.deleted
    if deleting:
        _refuse_deleting(cohort)
        cohort.experiments.update(exposure_cohort=None)
    if all(same_document(before[name], value) for name, value in history.snapshot(cohort).items()):
        return cohort
    cohort.save(update_fields=["name", "description", "deleted", "filters"])
    if not cohort.is_static and (restoring or not same_document(before["filters"], cohort.filters)):
        queue_calculation(cohort)
    activity = Activity.DELETED if deleting else Activity.RESTORED if restoring else Activity.UPDATED
    history.record(cohort, user=user, activity=activity, before=before)
    return cohort


def _change_criteria(cohort: Cohort, filters: Any) -> None:
    if cohort.is_static:
        raise Invalid(
            "Editing the criteria of a static cohort is not supported yet. Create a new static cohort instead.",
            attr=criteria.ATTR,
        )
    document = _checked(filters, project=cohort.project, cohort_id=cohort.pk)
    if criteria.needs_events(criteria.parse(document)) and any(flag.active for flag in usage.flags_depending(cohort)):
        raise Invalid(
            "Behavioral filters cannot be added to cohorts used in feature flags.",
            code="behavioral_cohort_found",
            attr=criteria.ATTR,
        )
    cohort.filters = document


def _refuse_deleting(cohort: Cohort) -> None:
    flags = [flag.key for flag in usage.flags(cohort) if flag.active]
    if flags:
        raise InvalidState(
            f"This cohort is used in {len(flags)} active feature flag(s): {', '.join(flags)}. "
            "Please remove the cohort from these feature flags before deleting it."
        )
    others = [other.name for other in usage.cohorts(cohort)]
    if others:
        raise InvalidState(
            f"This cohort is used in {len(others)} other cohort(s): {', '.join(others)}. "
            "Please remove the cohort from these cohorts before deleting it."
        )


def queue_calculation(cohort: Cohort) -> None:
    """Have the worker calculate the cohort by its present criteria, soon after the transaction."""
    cohort.pending_version = (cohort.pending_version or 0) + 1
    cohort.is_calculating = True
    cohort.save(update_fields=["pending_version", "is_calculating"])
    defer_calculation(cohort.pk)


def defer_calculation(cohort_id: int) -> None:
    """Queue the job unless one waits already."""
    from cohorts.tasks import calculate_cohort  # noqa: PLC0415  (the task calls into this app)

    try:
        # The refusal of a second job must not end the caller's transaction.
        with transaction.atomic():
            calculate_cohort.configure(queueing_lock=f"cohort-{cohort_id}").defer(cohort_id=cohort_id)
    except AlreadyEnqueued:
        return
