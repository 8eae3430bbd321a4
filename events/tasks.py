"""Background jobs of this app."""

from datetime import datetime
from uuid import UUID

from django.utils import timezone
from procrastinate.contrib.django import app

from events import person_deletion, retention
from events.store import event_store, partitions


@app.task(name="events.delete_events_of_persons", retry=5)
def delete_events_of_persons(project_id: int, person_ids: list[str], old_person_ids: list[str], before: str) -> int:
    """After a deletion of persons: remove their events stored before it."""
    return person_deletion.delete_events(
        project_id=project_id,
        person_ids=[UUID(text) for text in person_ids],
        old_person_ids=[UUID(text) for text in old_person_ids],
        before=datetime.fromisoformat(before),
    )


@app.periodic(cron="23 * * * *")
@app.task(name="events.make_partitions", queueing_lock="events.make_partitions")
def make_partitions(timestamp: int) -> None:
    """Hourly: keep the partitions of this month and the next ones ready."""
    partitions.make_ahead()


@app.periodic(cron="41 3 * * *")
@app.task(name="events.drop_expired_events", queueing_lock="events.drop_expired_events", retry=3)
def drop_expired_events(timestamp: int) -> None:
    """Daily: drop the months of events that have expired, if events expire at all."""
    cut = retention.cut(timezone.now())
    if cut is not None:
        event_store().drop_before(cut)
