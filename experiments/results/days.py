"""The calendar days of an experiment in its project's time zone. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A series holds no more days than these, the latest ones.
MAX_DAYS = 3660
_INSTANT = timedelta(microseconds=1)


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """The day in the zone; at the ends of the calendar, where the zone's would lie beyond it, the one in UTC."""
    try:
        return instant.astimezone(zone).date()
    except OverflowError:
        return instant.astimezone(UTC).date()


def day_before(end: datetime, zone: ZoneInfo) -> date:
    """The day that ends at, or after, an instant: midnight still belongs to the day before it."""
    return day_of(end - _INSTANT, zone)


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The next midnight, 23 to 25 hours after the one before; where clocks skip midnight, the instant they do."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone).astimezone(UTC)


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> Sequence[date]:
    """Every day from that of the start to that of the end; none unless the start is before the end."""
    if start >= end:
        return []
    last = day_before(end, zone)
    number = min((last - day_of(start, zone)).days + 1, MAX_DAYS)
    return [last - timedelta(days=back) for back in reversed(range(number))]
