"""The months of the events table: made ahead by a job, past ones with their first event, dropped when they expire.

What has no partition of its own lands in the default one, so that an event is never refused for want of a month.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime

from django.db import Error, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

logger = logging.getLogger(__name__)

AHEAD = 3
# Months older than that share the default partition: a client with a broken clock could name any of 24,000.
OLDEST_YEARS = 15
_LOCK_TIMEOUT = "2s"
# The months that this process has seen to exist.
_known: set[date] = set()

# By the rows of the catalog: what to_regclass did not find, it does not find later in the same transaction either.
_EXISTS = """
SELECT EXISTS (
    SELECT FROM pg_inherits JOIN pg_class children ON children.oid = pg_inherits.inhrelid
    WHERE pg_inherits.inhparent = 'events_event'::regclass AND children.relname = %s
)
"""
_NAMES = """
SELECT children.relname FROM pg_inherits
JOIN pg_class children ON children.oid = pg_inherits.inhrelid
WHERE pg_inherits.inhparent = 'events_event'::regclass AND children.relname ~ '^events_event_[0-9]{4}_[0-9]{2}$'
ORDER BY children.relname
"""
# One maker at a time: the others must see what it has made, not make it again.
_LOCK = """
SET LOCAL lock_timeout = '{timeout}';
SELECT pg_advisory_xact_lock(hashtext('events_event partitions'))
"""
_MAKE = """
CREATE TABLE IF NOT EXISTS {name} (LIKE events_event);
CREATE UNIQUE INDEX IF NOT EXISTS {name}_unique ON {name} (project_id, ((timestamp AT TIME ZONE 'UTC')::date), uuid);
LOCK TABLE events_event_rest IN ACCESS EXCLUSIVE MODE;
WITH moved AS (
    DELETE FROM events_event_rest WHERE timestamp >= '{start}' AND timestamp < '{end}' RETURNING *
) INSERT INTO {name} SELECT * FROM moved;
ALTER TABLE events_event ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}');
"""


def month_of(time: datetime) -> date:
    """The first day of the UTC month."""
    return date(time.year, time.month, 1)


def later(month: date, count: int) -> date:
    """The month `count` months after (before, when negative) `month`."""
    months = month.year * 12 + month.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def ensure(months: Iterable[date]) -> None:
    """Make the partitions of these months where they are missing; those that cannot be made are left to the default."""
    missing = set(months) - _known
    if not missing:
        return
    present = month_of(timezone.now().astimezone(UTC))
    for month in sorted(missing):
        if later(present, -12 * OLDEST_YEARS) <= month <= later(present, AHEAD):
            _ensure(month)


def make_ahead() -> None:
    """Make the partitions of this month and the next ones."""
    present = month_of(timezone.now().astimezone(UTC))
    ensure(later(present, count) for count in range(AHEAD + 1))


def drop_before(cut: datetime, *, forget: Callable[[], None]) -> list[str]:
    """Drop the months that lie wholly before `cut`; returns the names of their tables. Idempotent.

    `forget` is called in each transaction that removes events, to remove with them what was made of them. It may wait
    for others, so it comes first, before anything is locked.
    """
    last = month_of(cut.astimezone(UTC))
    with connection.cursor() as cursor:
        cursor.execute(_NAMES)
        expired = [name for (name,) in cursor.fetchall() if _month_in(name) < last]
        for name in expired:
            with transaction.atomic():
                forget()
                cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'; DROP TABLE {name}")
            _known.discard(_month_in(name))
        rest = "FROM events_event_rest WHERE timestamp < %s"
        times = [datetime(last.year, last.month, 1, tzinfo=UTC)]
        cursor.execute(f"SELECT EXISTS (SELECT {rest})", times)
        if cursor.fetchone()[0]:
            with transaction.atomic():
                forget()
                cursor.execute(f"DELETE {rest}", times)
    return expired


def _name(month: date) -> str:
    return f"events_event_{month:%Y_%m}"


def _month_in(name: str) -> date:
    year, month = name.rsplit("_", 2)[1:]
    return date(int(year), int(month), 1)


def _exists(cursor: CursorWrapper, name: str) -> bool:
    cursor.execute(_EXISTS, [name])
    exists: bool = cursor.fetchone()[0]
    return exists


def _ensure(month: date) -> None:
    name = _name(month)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if not _exists(cursor, name):
                cursor.execute(_LOCK.format(timeout=_LOCK_TIMEOUT))
                if not _exists(cursor, name):
                    start, end = f"{month} 00:00:00+00", f"{later(month, 1)} 00:00:00+00"
                    cursor.execute(_MAKE.format(name=name, start=start, end=end))
    except Error:
        # Another process may have made it, or a long read holds the table: the default partition takes the events.
        logger.warning("partition not made", extra={"fields": {"partition": name}}, exc_info=True)
        return
    _known.add(month)
