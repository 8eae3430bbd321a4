"""Events stored per second, in batches of 500 over HTTP and durable before the answer, against raw COPY.

The floor is what the same rows cost PostgreSQL at the least: COPY of each batch, committed, into a table with the same
columns and the index that keeps copies out, without HTTP, checks, persons or any other index. The service should
reach 40 % of it.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import orjson
import psycopg

from benchmarks.harness import Service, at_once, spread

AIM = 0.4
BATCH = 500
USERS = 5000
TEMPLATES = 20
# In a template, where a number that grows from batch to batch makes the uuids of version 7.
_PLACE = "ffffffff-ffff"
_TABLE = """
CREATE TABLE raw_events (LIKE events_event);
CREATE UNIQUE INDEX ON raw_events (project_id, ((timestamp AT TIME ZONE 'UTC')::date), uuid);
"""
_COLUMNS = "project_id, uuid, event, distinct_id, person_id, timestamp, created_at, session_id, group_0, properties"


class Batches:
    """Batches as clients send them, and as lines of COPY. No two have an event in common."""

    def __init__(self, token: str) -> None:
        random_ = random.Random(1)
        self._numbers = count(int(time.time() * 1000))
        self._lock = threading.Lock()
        self._bodies: list[bytes] = []
        self._copies: list[bytes] = []
        for _ in range(TEMPLATES):
            events = [_event(random_, position) for position in range(BATCH)]
            self._bodies.append(orjson.dumps({"api_key": token, "batch": events, "sent_at": _now()}))
            self._copies.append("".join(_line(event) for event in events).encode())

    def _place(self) -> tuple[int, bytes]:
        with self._lock:
            number = next(self._numbers)
        digits = f"{number:012x}"
        return number % TEMPLATES, f"{digits[:8]}-{digits[8:]}".encode()

    def body(self) -> bytes:
        template, uuid = self._place()
        return self._bodies[template].replace(_PLACE.encode(), uuid)

    def copy(self) -> bytes:
        template, uuid = self._place()
        return self._copies[template].replace(_PLACE.encode(), uuid)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _event(random_: random.Random, position: int) -> dict[str, Any]:
    """What a shop's server sends: 20 properties, about 700 bytes."""
    return {
        "event": random_.choice(["$pageview", "product viewed", "added to cart", "$feature_flag_called"]),
        "distinct_id": f"user-{random_.randrange(USERS)}",
        "uuid": f"{_PLACE}-7{position:03x}-8000-{random_.getrandbits(48):012x}",
        "timestamp": (datetime.now(UTC) - timedelta(milliseconds=position)).isoformat(),
        "properties": {
            "$lib": "posthog-python",
            "$lib_version": "7.91.1",
            "$session_id": str(UUID(int=random_.getrandbits(128))),
            "$current_url": f"https://shop.example.com/products/{position}?utm_source=newsletter",
            "$host": "shop.example.com",
            "$pathname": f"/products/{position}",
            "$referrer": "https://www.example.org/",
            "$browser": "Firefox",
            "$os": "Linux",
            "$device_type": "Desktop",
            "$screen_height": 1080,
            "$screen_width": 1920,
            "$groups": {"company": f"company-{random_.randrange(100)}"},
            "amount": round(random_.random() * 100, 2),
            "currency": "EUR",
            "items": [1, 2, 3],
            "plan": "pro",
            "title": f"Product {position}",
        },
    }


def _line(event: dict[str, Any]) -> str:
    properties = event["properties"]
    columns = [
        "1",
        event["uuid"],
        event["event"],
        event["distinct_id"],
        str(UUID(int=hash(event["distinct_id"]) % 2**64)),
        event["timestamp"],
        event["timestamp"],
        properties["$session_id"],
        properties["$groups"]["company"],
        orjson.dumps(properties).decode().replace("\\", "\\\\"),
    ]
    return "\t".join(columns) + "\n"


def _rate(seconds: float, clients: int, sender: Callable[[], Callable[[], None]]) -> float:
    """Events per second of as many clients, each of which sends batches with what `sender()` gives it."""
    end = time.perf_counter() + seconds
    batches = [0] * clients

    def send(position: int) -> None:
        send_one = sender()
        while time.perf_counter() < end:
            send_one()
            batches[position] += 1

    taken = at_once(clients, send)
    return sum(batches) * BATCH / taken


def client_of(running: Service, batches: Batches) -> Callable[[], None]:
    """A client with a connection of its own; each call sends one batch. It raises RuntimeError when that is refused."""
    connection = running.connect()

    def send() -> None:
        connection.request("POST", "/batch/", batches.body(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"/batch/: {answer.status} {text.decode()}")

    return send


def run(running: Service, *, rounds: int, seconds: float) -> None:
    """Measure and print."""
    batches = Batches(str(running.credentials["project_api_token"]))

    def client() -> Callable[[], None]:
        return client_of(running, batches)

    def copier() -> Callable[[], None]:
        database = psycopg.connect(running.database_url)

        def send() -> None:
            with (
                database.transaction(),
                database.cursor() as cursor,
                cursor.copy(f"COPY raw_events ({_COLUMNS}) FROM STDIN") as copy,
            ):
                copy.write(batches.copy())

        return send

    with psycopg.connect(running.database_url) as database:
        database.execute(_TABLE)
    rates: dict[str, list[float]] = {"one client": [], "two clients": [], "floor": []}
    for number in range(rounds + 1):
        # The first round makes the persons and warms up.
        for name, clients, sender in (("floor", 1, copier), ("one client", 1, client), ("two clients", 2, client)):
            rate = _rate(seconds if number else 2, clients, sender)
            if number:
                rates[name].append(rate)
    size = len(batches.body()) / BATCH
    ratios = {name: _ratios(rates[name], rates["floor"]) for name in ("one client", "two clients")}
    print(f"Events in batches of {BATCH}, {size:.0f} bytes each, one client, {rounds} rounds of {seconds:g} s in turns")
    print(f"  service  {spread(rates['one client'], '.0f')} events/s")
    print(f"  floor    {spread(rates['floor'], '.0f')} rows/s by raw COPY")
    print(f"  ratio    {spread(ratios['one client'], '.2f')}, aim: at least {AIM}")
    print(f"  with two clients {spread(rates['two clients'], '.0f')} events/s, {spread(ratios['two clients'], '.2f')}")
    print(f"  stored {_stored(running)}")


def _ratios(ours: list[float], bare: list[float]) -> list[float]:
    return [rate / floor for rate, floor in zip(ours, bare, strict=True)]


def _stored(running: Service) -> str:
    """How many events there are, and what they take; the figures that a long run watches."""
    with psycopg.connect(running.database_url) as database:
        row = database.execute(
            "SELECT (SELECT count(*) FROM events_event), (SELECT sum(pg_total_relation_size(inhrelid))"
            " FROM pg_inherits WHERE inhparent = 'events_event'::regclass)"
        ).fetchone()
    events, size = row or (0, 0)
    return json.dumps({"events": events, "bytes_an_event": round(size / events) if events else None})
