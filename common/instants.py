"""Instants in property filters: absolute or as a distance back from now. Pure: the clock is an argument."""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

_RELATIVE = re.compile(r"-?0*(\d{1,4})([hdwmy])", re.ASCII)
_ABSOLUTE = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII)
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a filter is evaluated: the present instant, and the zone in which texts without one are read."""

    now: datetime
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Absolute:
    """A date or a date with a time; naive ones are read in the zone of the moment."""

    written: datetime

    def at(self, moment: Moment) -> datetime | None:
        """The instant; None where the calendar ends."""
        if self.written.tzinfo is not None:
            return self.written
        try:
            return self.written.replace(tzinfo=moment.zone).astimezone(UTC)
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Back:
    """A distance back from now: hours, days and weeks as durations, months and years by the calendar in UTC."""

    months: int
    duration: timedelta

    def at(self, moment: Moment) -> datetime | None:
        """The instant; one before the calendar begins is its first."""
        now = moment.now.astimezone(UTC)
        if self.months == 0:
            return now - self.duration if now - _EARLIEST > self.duration else _EARLIEST
        year, month = divmod(now.year * 12 + now.month - 1 - self.months, 12)
        if year < 1:
            return _EARLIEST
        day = min(now.day, calendar.monthrange(year, month + 1)[1])
        return now.replace(year=year, month=month + 1, day=day)


def parse_absolute(value: Any) -> Absolute | None:
    """RFC 3339, `YYYY-MM-DD` or a date and time without zone; None for anything else."""
    if not isinstance(value, str) or _ABSOLUTE.fullmatch(value) is None:
        return None
    try:
        return Absolute(datetime.fromisoformat(value.upper()))
    except ValueError:
        return None


def parse_instant(value: Any) -> Absolute | Back | None:
    """What `parse_absolute` reads, or a distance such as `-7d`: below 10000, its sign without meaning."""
    relative = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    if relative is None:
        return parse_absolute(value)
    amount, unit = int(relative[1]), relative[2]
    if unit in "my":
        return Back(months=amount * (12 if unit == "y" else 1), duration=timedelta())
    return Back(months=0, duration=amount * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(7)}[unit])
