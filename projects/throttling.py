"""How often a key may ask, and a visitor try to sign in.

Counted in PostgreSQL, so that all processes share one count.
"""

import math
from dataclasses import dataclass

from django.db import connection

# A row holds the two windows of one counter. A window starts with the first request after the last one ended.
# The WHERE clause makes the statement count all or nothing: a refused request changes no row.
_SPEND = """
INSERT INTO projects_requestcount AS counted (counter, minute_started, minute_count, hour_started, hour_count)
VALUES (%(counter)s, clock_timestamp(), 1, clock_timestamp(), 1)
ON CONFLICT (counter) DO UPDATE SET
    minute_started = CASE WHEN counted.minute_started <= excluded.minute_started - interval '1 minute'
                          THEN excluded.minute_started ELSE counted.minute_started END,
    minute_count   = CASE WHEN counted.minute_started <= excluded.minute_started - interval '1 minute'
                          THEN 1 ELSE counted.minute_count + 1 END,
    hour_started   = CASE WHEN counted.hour_started <= excluded.hour_started - interval '1 hour'
                          THEN excluded.hour_started ELSE counted.hour_started END,
    hour_count     = CASE WHEN counted.hour_started <= excluded.hour_started - interval '1 hour'
                          THEN 1 ELSE counted.hour_count + 1 END
WHERE (counted.minute_count < %(per_minute)s
       OR counted.minute_started <= excluded.minute_started - interval '1 minute')
  AND (counted.hour_count < %(per_hour)s
       OR counted.hour_started <= excluded.hour_started - interval '1 hour')
RETURNING TRUE
"""

_WAIT = """
SELECT greatest(
    CASE WHEN minute_count >= %(per_minute)s
         THEN extract(epoch FROM minute_started + interval '1 minute' - clock_timestamp()) ELSE 0 END,
    CASE WHEN hour_count >= %(per_hour)s
         THEN extract(epoch FROM hour_started + interval '1 hour' - clock_timestamp()) ELSE 0 END)
FROM projects_requestcount WHERE counter = %(counter)s
"""

_FORGET = "DELETE FROM projects_requestcount WHERE hour_started < clock_timestamp() - interval '1 hour'"
_UNLIMITED = 2**31 - 2  # below what the column counts to


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many requests one counter admits. `name` keeps the counts of different allowances apart."""

    name: str
    per_minute: int
    per_hour: int = _UNLIMITED


REST = Allowance(name="rest", per_minute=480, per_hour=4800)
DEFINITIONS = Allowance(name="definitions", per_minute=600)
SIGN_IN = Allowance(name="sign_in", per_minute=10)


def spend(*, allowance: Allowance, key_id: str) -> int | None:
    """Count one request of a key. None admits it; else whole seconds to wait, at least 1, and nothing is counted."""
    values: dict[str, str | int] = {
        "counter": _counter(allowance, key_id),
        "per_minute": allowance.per_minute,
        "per_hour": allowance.per_hour,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, values)
        if cursor.fetchone() is not None:
            return None
        cursor.execute(_WAIT, values)
        row = cursor.fetchone()
    return 1 if row is None else max(1, math.ceil(row[0]))


def forget(*, allowance: Allowance, key_id: str) -> None:
    """Start counting anew."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM projects_requestcount WHERE counter = %s", [_counter(allowance, key_id)])


def _counter(allowance: Allowance, key_id: str) -> str:
    return f"{allowance.name}:{key_id}"


def forget_ended_windows() -> int:
    """Delete counters whose windows are over; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET)
        return int(cursor.rowcount)
