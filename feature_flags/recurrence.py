"""When something recurs: by intervals of the calendar or by a cron expression, in a time zone. Pure."""

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

CRON_FIELDS = 5
_MONTHS = {"monthly": 1, "yearly": 12}
_DAYS = {"daily": 1, "weekly": 7}


def is_cron(expression: str) -> bool:
    """Whether this is a cron expression of five fields that some time fits."""
    if len(expression.split()) != CRON_FIELDS:
        return False
    try:
        croniter(expression, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)
    except (CroniterError, ValueError, LookupError, TypeError, OverflowError):
        return False
    return True


def next_by_interval(*, interval: str, begins_at: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first time after `after` in the series that begins at `begins_at`, at the same time of day in `zone`.

    A month that is too short has it on its last day; the series does not shift by that.
    """
    first = begins_at.astimezone(zone)
    step = 0
    if interval in _DAYS:
        # Close to the goal at once, however long nothing ran.
        step = max(0, (after - begins_at).days // _DAYS[interval] - 1)
    else:
        elapsed = (after.year - begins_at.year) * 12 + after.month - begins_at.month
        step = max(0, elapsed // _MONTHS[interval] - 1)
    while True:
        step += 1
        candidate = _stepped(first, interval, step).astimezone(UTC)
        if candidate > after:
            return candidate


def _stepped(first: datetime, interval: str, step: int) -> datetime:
    if interval in _DAYS:
        return first + timedelta(days=_DAYS[interval] * step)
    year, month = divmod(first.year * 12 + first.month - 1 + _MONTHS[interval] * step, 12)
    day = min(first.day, calendar.monthrange(year, month + 1)[1])
    return first.replace(year=year, month=month + 1, day=day)


def next_by_cron(*, expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The first time after `after` that fits the expression in `zone`; None when there is none any more."""
    try:
        found: datetime = croniter(expression, after.astimezone(zone)).get_next(datetime)
    except CroniterBadDateError:
        return None
    return found.astimezone(UTC)
