"""Storing a batch of events: in one transaction, all or nothing, with everything they say of persons and groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from events import definitions, groups, persons, retention
from events.identity import natural_id, step_of
from events.incoming import IncomingEvent, text_of
from events.models import MAX_FLAG_KEY
from events.store import StoredBefore, StoredEvent, event_store
from projects.models import Project


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch."""

    stored: int
    duplicates: int
    expired: int


def store_for_token(*, token: str, events: Sequence[IncomingEvent]) -> None:
    """Store events of the project with this public token. Without such a project they are dropped."""
    project = Project.objects.filter(api_token=token).only("pk", "ingested_event").first()
    if project is not None:
        store(project=project, events=events)


def store(*, project: Project, events: Sequence[IncomingEvent]) -> Stored:
    """Store a batch in one transaction of its own (or as part of the caller's), durable when it returns.

    Raises django.db.Error when nothing was stored.
    """
    kept, expired = _kept(events)
    if not kept:
        return Stored(stored=0, duplicates=len(events) - expired, expired=expired)
    event_store().prepare(times=_one_of_each_month(kept))
    try:
        stored = _store(project, kept, append=event_store().append_new)
    except StoredBefore:
        # Sent again: seldom, and worth a slower way.
        stored = _store(project, kept, append=event_store().append)
    return Stored(stored=stored, duplicates=len(events) - expired - stored, expired=expired)


def _kept(events: Iterable[IncomingEvent]) -> tuple[list[IncomingEvent], int]:
    """The events of the batch without later copies and without expired ones, and how many have expired."""
    cut = retention.cut(timezone.now())
    kept: list[IncomingEvent] = []
    seen: set[Any] = set()
    expired = 0
    for event in events:
        time = event.timestamp
        if cut is not None and time < cut:
            expired += 1
            continue
        identity = (event.uuid, time.toordinal())
        if identity not in seen:
            seen.add(identity)
            kept.append(event)
    return kept, expired


def _one_of_each_month(events: Iterable[IncomingEvent]) -> Iterable[datetime]:
    return {(event.timestamp.year, event.timestamp.month): event.timestamp for event in events}.values()


@transaction.atomic
def _store(project: Project, events: Sequence[IncomingEvent], *, append: Callable[..., int]) -> int:
    project_id = project.pk
    type_names = dict.fromkeys(name for event in events for name in groups.types_named(event))
    types = groups.indexes(project_id=project_id, names=type_names) if type_names else {}
    owners = _owners(project_id, events)
    identified = [event for event in events if event.event == groups.IDENTIFY]
    groups.identify(project_id=project_id, events=identified, types=types)
    definitions.see(project_id=project_id, names={event.event for event in events})
    in_order = sorted(events, key=attrgetter("uuid"))
    stored = append(project_id=project_id, events=(_row(event, project_id, owners, types) for event in in_order))
    if not project.ingested_event:
        Project.objects.filter(pk=project_id).update(ingested_event=True)
    return stored


def _owners(project_id: int, events: Sequence[IncomingEvent]) -> Mapping[str, tuple[int, UUID]]:
    """The person of each distinct id that has one, after what the events do to persons."""
    first_seen: dict[str, datetime] = {}
    without_profile: set[str] = set()
    steps = []
    for event in events:
        if not event.has_profile:
            without_profile.add(event.distinct_id)
            continue
        if event.distinct_id not in first_seen:
            first_seen[event.distinct_id] = event.timestamp
        step = step_of(event)
        if step is not None:
            steps.append(step)
            if step.merge_from is not None:
                first_seen.setdefault(step.merge_from, event.timestamp)
    owners = persons.ensure(project_id=project_id, first_seen=first_seen)
    without_profile -= owners.keys()
    owners |= persons.find(project_id=project_id, distinct_ids=without_profile)
    return persons.change(project_id=project_id, steps=steps, owners=owners)


def _row(
    event: IncomingEvent, project_id: int, owners: Mapping[str, tuple[int, UUID]], types: Mapping[str, int]
) -> StoredEvent:
    properties = event.properties
    group_0, group_1, group_2, group_3, group_4 = groups.keys_of(properties, types)
    owner = owners.get(event.distinct_id)
    return StoredEvent(
        event.uuid,
        event.event,
        event.distinct_id,
        natural_id(project_id, event.distinct_id) if owner is None else owner[1],
        event.timestamp,
        _text(properties.get("$session_id")),
        _flag_key(properties.get("$feature_flag")),
        _text(properties.get("$feature_flag_response")),
        group_0,
        group_1,
        group_2,
        group_3,
        group_4,
        event.text,
    )


def _text(value: Any) -> str | None:
    return None if value is None else text_of(value)


def _flag_key(value: Any) -> str | None:
    key = _text(value)
    # No flag has a longer key.
    return None if key is None or len(key) > MAX_FLAG_KEY else key
