"""Deleting persons, for their privacy: the profile at once, the events by a job."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from activity import recorder
from activity.models import Activity, Scope
from common.errors import Invalid
from events.models import Person, PersonOverride
from events.store import event_store
from projects.access import parse_uuid
from projects.models import Project, User

MAX_IDS = 1000


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion of several persons came to."""

    found: int
    deleted: int
    events_queued: bool


def delete_person(*, project: Project, person: Person, user: User, delete_events: bool) -> None:
    """Delete one person with everything but its events; those too, soon, with `delete_events`."""
    _delete(project=project, person_ids=[person.pk], user=user, delete_events=delete_events, keep_person=False)


def delete_persons(
    *,
    project: Project,
    ids: Collection[str],
    distinct_ids: Collection[str],
    user: User,
    delete_events: bool,
    keep_person: bool,
) -> Deletion:
    """Delete the persons found by their `ids` (uuids) or distinct ids; with `keep_person` at most their events.

    Raises Invalid when too many are named, or none.
    """
    if not ids and not distinct_ids:
        raise Invalid("You need to specify either distinct_ids or ids")
    if len(ids) > MAX_IDS or len(distinct_ids) > MAX_IDS:
        raise Invalid(f"You can only pass {MAX_IDS} ids in one call")
    uuids = {uuid for text in ids if (uuid := parse_uuid(text)) is not None}
    leading = PersonOverride.objects.filter(project=project, old_person_id__in=uuids)
    persons = Person.objects.filter(project=project)
    wanted = {*uuids, *leading.values_list("person_id", flat=True)}
    found = {
        *persons.filter(uuid__in=wanted).values_list("pk", flat=True),
        *persons.filter(distinct_id_rows__distinct_id__in=distinct_ids).values_list("pk", flat=True),
    }
    return _delete(project=project, person_ids=found, user=user, delete_events=delete_events, keep_person=keep_person)


@transaction.atomic
def _delete(
    *, project: Project, person_ids: Iterable[int], user: User, delete_events: bool, keep_person: bool
) -> Deletion:
    # In the order in which ingestion locks.
    locked = Person.objects.select_for_update().filter(project=project, pk__in=list(person_ids)).order_by("pk")
    uuids = dict(locked.values_list("pk", "uuid"))
    if delete_events and uuids:
        _queue(project=project, uuids=uuids.values())
    if not keep_person:
        Person.objects.filter(pk__in=uuids).delete()
        event_store().note_deleted_persons(project_id=project.pk, person_ids=uuids.values())
        for uuid in uuids.values():
            recorder.record(
                project=project,
                user=user,
                scope=Scope.PERSON,
                item_id=uuid,
                activity=Activity.DELETED,
                name=None,
            )
    return Deletion(
        found=len(uuids), deleted=0 if keep_person else len(uuids), events_queued=delete_events and bool(uuids)
    )


def _queue(*, project: Project, uuids: Collection[UUID]) -> None:
    from events.tasks import delete_events_of_persons  # noqa: PLC0415  (the task calls back into this module)

    old = PersonOverride.objects.filter(project=project, person_id__in=uuids)
    delete_events_of_persons.defer(
        project_id=project.pk,
        person_ids=[str(uuid) for uuid in uuids],
        old_person_ids=[str(uuid) for uuid in old.values_list("old_person_id", flat=True)],
        before=timezone.now().isoformat(),
    )


def delete_events(
    *, project_id: int, person_ids: Collection[UUID], old_person_ids: Collection[UUID], before: datetime
) -> int:
    """Remove the events of these persons that were stored before the moment, and what led to them. Idempotent."""
    with transaction.atomic():
        deleted = event_store().delete_persons(
            project_id=project_id, person_ids=[*person_ids, *old_person_ids], before=before
        )
        PersonOverride.objects.filter(
            project_id=project_id, old_person_id__in=old_person_ids, person_id__in=person_ids
        ).delete()
        # What came later under an old id is of a person of its own now.
        event_store().note_deleted_persons(project_id=project_id, person_ids=[*person_ids, *old_person_ids])
    return deleted
