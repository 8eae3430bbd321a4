"""How long events are kept. What is older than the cut is not taken any more, and is dropped by whole months."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from common.errors import Invalid
from common.instants import Back, Moment


class EventsExpired(Invalid):
    """What is asked for begins before the oldest events that are kept."""

    default_code = "events-expired"


def cut(now: datetime) -> datetime | None:
    """The instant before which events are not kept: `now` minus the months of retention; None when all are kept."""
    months: int = settings.EVENTS_RETENTION_MONTHS
    return Back(months=months, duration=timedelta()).at(Moment(now)) if months > 0 else None


def check_kept(start: datetime, *, now: datetime | None = None) -> None:
    """Raise EventsExpired when events from `start` on, that of an experiment, are not all kept any more at `now`."""
    oldest = cut(now or timezone.now())
    if oldest is not None and start < oldest:
        months = settings.EVENTS_RETENTION_MONTHS
        raise EventsExpired(f"The events of this experiment are older than the retention of {months} months.")
