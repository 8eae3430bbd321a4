"""The calendar days of an experiment in its project's time zone. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A series holds no more days than these, the latest ones.
MAX_DAYS = 3660
_INSTANT = timedelta(microseconds=1)


def day_before(end: datetime, zone: ZoneInfo) -> date:
    """The day that ends at, or after, an instant: midnight still belongs to the day before it."""
    return (end - _INSTANT).astimezone(zone).date()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The next midnight, 23 to 25 hours after the one before; where clocks skip midnight, the instant they do."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone).astimezone(UTC)


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> Sequence[date]:
    """Every day from that of the start to that of the end; none unless the start is before the end."""
    if start >= end:
        return []
    last = day_before(end, zone)
    first = max(start, end - timedelta(days=MAX_DAYS - 1)).astimezone(zone).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
