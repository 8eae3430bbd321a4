"""Events of a shop, made inside the database: much faster than sending them, and the same ones every time."""

import sys
import time

import psycopg

AT_ONCE = 250_000
# Every so many events one calls the flag; the others are what the users of the shop do.
CALL_EVERY = 16
DAYS = 14

# Row by row a number in 0..1, and so many persons, picked by the number of the row. A few persons are given both
# variants, every fiftieth has been merged into another.
_INSERT = f"""
INSERT INTO events_event
    (project_id, uuid, event, distinct_id, person_id, timestamp, session_id, flag_key, flag_response, properties)
SELECT %(project)s, md5('event ' || rows.number)::uuid, kinds.event, 'user-' || rows.person,
       md5('person ' || rows.person)::uuid, rows.time, md5('session ' || rows.number / 8)::uuid::text,
       CASE WHEN kinds.is_call THEN %(flag)s END, CASE WHEN kinds.is_call THEN rows.variant END,
       jsonb_build_object(
           '$current_url', 'https://shop.example.com/products/' || rows.number %% 1000, '$browser', 'Firefox',
           '$os', 'Linux', '$lib', 'web', '$screen_width', 1920, 'currency', 'EUR',
           'amount', round(rows.chance * 100, 2)
       ) || CASE WHEN kinds.is_call
           THEN jsonb_build_object('$feature_flag', %(flag)s, '$feature_flag_response', rows.variant) ELSE '{{}}' END
FROM (
    SELECT number,
           ((hashint8extended(number, 1) & 1048575) / 1048576.0)::numeric AS chance,
           %(first_person)s + CASE WHEN number %% {CALL_EVERY} = 0 THEN number / {CALL_EVERY} %% %(persons)s
               ELSE (hashint8extended(number, 2) & 2147483647) %% %(persons)s END AS person,
           %(start)s::timestamptz + (number - %(first)s) / %(events)s::float8 * interval '{DAYS} days' AS time,
           CASE WHEN hashint8extended(number, 3) & 1023 = 0
                  OR hashint8extended(number / {CALL_EVERY} %% %(persons)s, 4) & 1 = 0
               THEN 'control' ELSE 'test' END AS variant
    FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS numbers (number)
) AS rows
CROSS JOIN LATERAL (
    SELECT rows.number %% {CALL_EVERY} = 0 AS is_call,
           CASE WHEN rows.number %% {CALL_EVERY} = 0 THEN '$feature_flag_called'
                WHEN rows.chance < 0.45 THEN '$pageview'
                WHEN rows.chance < 0.70 THEN 'product viewed'
                WHEN rows.chance < 0.82 THEN 'added to cart'
                WHEN rows.chance < 0.90 THEN 'purchase'
                ELSE 'signed in' END AS event
) AS kinds
"""
_MERGE = """
INSERT INTO events_personoverride (project_id, old_person_id, person_id)
SELECT %s, md5('person ' || number)::uuid, md5('person ' || number + 1)::uuid
FROM generate_series(%s::bigint, %s::bigint, 50) AS numbers (number)
"""


def fill(
    database: psycopg.Connection, *, project_id: int, flag_key: str, start: str, events: range, persons: range
) -> None:
    """Store the events of these numbers, evenly over the days from `start` on, all of `persons` exposed."""
    began = time.monotonic()
    for first in range(events.start, events.stop, AT_ONCE):
        last = min(first + AT_ONCE, events.stop) - 1
        part = range(first, last + 1)
        add(database, project_id=project_id, flag_key=flag_key, start=start, events=events, persons=persons, part=part)
        _show(last + 1 - events.start, len(events), seconds=time.monotonic() - began)
    database.execute(_MERGE, [project_id, persons.start, persons.stop - 2])
    database.commit()
    # What autovacuum does when there is time for it.
    database.autocommit = True
    database.execute("VACUUM ANALYZE events_event, events_personoverride")
    database.autocommit = False


def add(
    database: psycopg.Connection,
    *,
    project_id: int,
    flag_key: str,
    start: str,
    events: range,
    persons: range,
    part: range | None = None,
) -> None:
    """Store events as `fill` does, or a part of them, of persons who may be there already."""
    part = part or events
    database.execute(
        _INSERT,
        {
            "project": project_id,
            "flag": flag_key,
            "start": start,
            "first": events.start,
            "events": len(events),
            "first_person": persons.start,
            "persons": len(persons),
            "from": part.start,
            "to": part.stop - 1,
        },
    )
    database.commit()


def _show(done: int, of: int, *, seconds: float) -> None:
    """A line that overwrites itself, for people who wait."""
    left = seconds / done * (of - done)
    end = "\n" if done == of else ""
    text = f"\r  {done:,} of {of:,} events, {done / seconds:,.0f} a second, {left:.0f} s left   "
    print(text, end=end, file=sys.stderr, flush=True)
