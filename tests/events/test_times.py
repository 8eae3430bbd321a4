"""When events happened: clocks that are wrong, the far future, the ancient past, retention."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events import ingestion, retention, tasks
from events.incoming import OLDEST, Clock, parse_time
from events.models import Event
from events.store import partitions
from projects.models import Project
from tests.capturing import Capture, event, stored

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def time_of(clock: Clock, **sent: Any) -> datetime:
    return clock.time_of(**{"timestamp": None, "offset_ms": None, "trust_timestamp": False, **sent})


@pytest.mark.parametrize(
    ("clock", "sent", "time"),
    [
        (Clock(now=NOW), {}, NOW),
        (Clock(now=NOW), {"timestamp": NOW - timedelta(days=900)}, NOW - timedelta(days=900)),
        (Clock(now=NOW), {"offset_ms": 1500}, NOW - timedelta(seconds=1.5)),
        (Clock(now=NOW), {"offset_ms": 1500, "timestamp": NOW - timedelta(1)}, NOW - timedelta(1)),
        # The sender's clock is an hour behind, then three ahead.
        (Clock(now=NOW, skew=timedelta(hours=1)), {"timestamp": NOW - timedelta(hours=3)}, NOW - timedelta(hours=2)),
        (Clock(now=NOW, skew=timedelta(hours=-3)), {"timestamp": NOW + timedelta(hours=2)}, NOW - timedelta(hours=1)),
        (
            Clock(now=NOW, skew=timedelta(hours=1)),
            {"timestamp": NOW - timedelta(hours=3), "trust_timestamp": True},
            NOW - timedelta(hours=3),
        ),
        (Clock(now=NOW), {"timestamp": NOW + timedelta(hours=23)}, NOW + timedelta(hours=23)),
        (Clock(now=NOW), {"timestamp": NOW + timedelta(hours=23, microseconds=1)}, NOW),
        (Clock(now=NOW), {"timestamp": datetime.max.replace(tzinfo=UTC)}, NOW),
        (Clock(now=NOW, skew=timedelta(hours=1)), {"timestamp": datetime.max.replace(tzinfo=UTC)}, NOW),
        (Clock(now=NOW), {"timestamp": datetime.min.replace(tzinfo=UTC)}, OLDEST),
        (Clock(now=NOW, skew=timedelta(hours=-1)), {"timestamp": datetime.min.replace(tzinfo=UTC)}, OLDEST),
        (Clock(now=NOW), {"offset_ms": 1e300}, OLDEST),
        (Clock(now=NOW), {"offset_ms": -1e300}, NOW),
        (Clock(now=NOW), {"offset_ms": 1e15}, OLDEST),
    ],
)
def test_time_of(clock: Clock, sent: dict[str, Any], time: datetime):
    assert time_of(clock, **sent) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-15T12:00:00Z", NOW),
        ("2026-03-15T12:00:00.000+00:00", NOW),
        ("2026-03-15 13:00:00+01:00", NOW),
        ("2026-03-15T12:00", NOW),
        ("2026-03-15", NOW.replace(hour=0)),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        ("", None),
        (1773576000, None),
        (None, None),
    ],
)
def test_parse_time(text: Any, time: datetime | None):
    assert parse_time(text) == time


def test_sent_at__corrects_the_clock_of_the_sender(project: Project, capture: Capture):
    now = datetime.now(UTC)
    behind = now - timedelta(hours=5)
    capture(
        event("corrected", timestamp=(behind - timedelta(minutes=10)).isoformat()),
        event("kept", timestamp=behind.isoformat(), properties={"$ignore_sent_at": True}),
        sent_at=behind.isoformat(),
    )
    times = {found.event: found.timestamp for found in stored(project)}

    assert abs(times["corrected"] - (now - timedelta(minutes=10))) < timedelta(seconds=30)
    assert times["kept"] == behind


def test_sent_at__in_the_query(project: Project, client: Any):
    now = datetime.now(UTC)
    behind = now - timedelta(hours=5)
    body = {**event(timestamp=behind.isoformat()), "token": project.api_token}
    client.post(f"/e/?_={int(behind.timestamp() * 1000)}", body, content_type="application/json")

    assert abs(stored(project)[0].timestamp - now) < timedelta(seconds=30)


@pytest.mark.parametrize("sent_at", ["nonsense", 5, {}, None, "9" * 400])
def test_sent_at__unusable__is_ignored(project: Project, client: Any, sent_at: Any):
    body = {"api_key": project.api_token, "batch": [event(timestamp="2026-01-01T00:00:00Z")], "sent_at": sent_at}
    assert client.post("/batch/?_=" + "9" * 400, body, content_type="application/json").status_code == 200

    assert stored(project)[0].timestamp == at("2026-01-01T00:00:00Z")


def test_offset__counts_back_from_now(project: Project, capture: Capture):
    capture(event("number", offset=60_000), event("no number", offset="60000"), event("bool", offset=True))
    now = datetime.now(UTC)
    ages = {found.event: (now - found.timestamp).total_seconds() for found in stored(project)}

    assert 60 <= ages["number"] < 90
    assert ages["no number"] < 30
    assert ages["bool"] < 30


def test_ancient_times__land_in_the_default_partition(project: Project, capture: Capture, api: Any):
    capture(event("roman", timestamp="0044-03-15T12:00:00Z"), event("first", timestamp="0001-01-01"))
    listed = api.get("/api/projects/@current/events/").json()["results"]

    assert [found["timestamp"] for found in listed] == ["0044-03-15T12:00:00Z", "0001-01-03T00:00:00Z"]


def test_retention__older_events_are_answered_and_dropped(project: Project, capture: Capture, settings: Any):
    settings.EVENTS_RETENTION_MONTHS = 2
    cut = retention.cut(datetime.now(UTC))
    assert cut is not None
    capture(
        event("kept", timestamp=(cut + timedelta(minutes=5)).isoformat()),
        event("gone", "bob", timestamp=(cut - timedelta(minutes=5)).isoformat()),
        event("new"),
    )
    outcome = ingestion.store(project=project, events=[])

    assert sorted(found.event for found in stored(project)) == ["kept", "new"]
    assert outcome == ingestion.Stored(stored=0, duplicates=0, expired=0)


def test_retention__off__keeps_all(settings: Any):
    settings.EVENTS_RETENTION_MONTHS = 0

    assert retention.cut(NOW) is None
    retention.check_kept(at("0001-01-03T00:00:00Z"), now=NOW)


@pytest.mark.parametrize(
    ("now", "months", "cut"),
    [
        ("2026-03-31T10:00:00Z", 1, "2026-02-28T10:00:00Z"),
        ("2026-03-02T10:00:00Z", 3, "2025-12-02T10:00:00Z"),
        ("2026-03-02T10:00:00Z", 15, "2024-12-02T10:00:00Z"),
    ],
)
def test_retention__cut_is_months_before_now_by_the_calendar(settings: Any, now: str, months: int, cut: str):
    settings.EVENTS_RETENTION_MONTHS = months

    assert retention.cut(at(now)) == at(cut)


def test_check_kept__refuses_what_begins_before_the_cut(settings: Any):
    settings.EVENTS_RETENTION_MONTHS = 3
    retention.check_kept(at("2025-12-02T10:00:00Z"), now=at("2026-03-02T10:00:00Z"))

    with pytest.raises(retention.EventsExpired) as refusal:
        retention.check_kept(at("2025-12-02T09:59:59Z"), now=at("2026-03-02T10:00:00Z"))
    assert refusal.value.code == "events-expired"
    assert refusal.value.attr is None
    assert refusal.value.detail == "The events of this experiment are older than the retention of 3 months."


def test_daily_job__drops_months_wholly_before_the_cut(project: Project, capture: Capture, settings: Any):
    month = partitions.month_of(datetime.now(UTC))
    months = {count: partitions.later(month, -count) for count in (1, 2, 3, 4)}
    capture(*(event(str(count), timestamp=f"{months[count]}T10:00:00Z") for count in months))
    capture(event("ancient", timestamp="1999-01-01T00:00:00Z"))
    settings.EVENTS_RETENTION_MONTHS = 2
    tasks.drop_expired_events(timestamp=0)
    tasks.drop_expired_events(timestamp=0)

    assert sorted(found.event for found in Event.objects.filter(project=project)) == ["1", "2"]
    assert not set(partition_names()) & {f"events_event_{months[count]:%Y_%m}" for count in (3, 4)}
    capture(event("again", timestamp=f"{months[1]}T10:00:00Z"))
    assert len(stored(project)) == 3


def partition_names() -> list[str]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events_event'::regclass")
        return [name for (name,) in cursor.fetchall()]


def test_hourly_job__keeps_this_month_and_three_more_ready(db: None):
    tasks.make_partitions(timestamp=0)
    tasks.make_partitions(timestamp=0)
    month = partitions.month_of(datetime.now(UTC))

    assert {f"events_event_{partitions.later(month, count):%Y_%m}" for count in range(4)} <= set(partition_names())


def test_first_event_of_a_month__makes_its_partition(project: Project, capture: Capture):
    month = partitions.later(partitions.month_of(datetime.now(UTC)), -7)
    assert f"events_event_{month:%Y_%m}" not in partition_names()
    capture(event(timestamp=f"{month}T10:00:00Z"))

    assert f"events_event_{month:%Y_%m}" in partition_names()


def test_partition_that_cannot_be_made__capture_goes_on(project: Project, capture: Capture, monkeypatch: Any):
    month = partitions.later(partitions.month_of(datetime.now(UTC)), -8)
    with monkeypatch.context() as patched:
        patched.setattr(partitions, "_MAKE", "SELECT 1 / 0")
        capture(event("early", timestamp=f"{month}T10:00:00Z"))
    assert f"events_event_{month:%Y_%m}" not in partition_names()
    capture(event("later", timestamp=f"{month}T11:00:00Z"))

    # What the default partition held has moved into the month.
    assert [found.event for found in stored(project)] == ["early", "later"]
    assert f"events_event_{month:%Y_%m}" in partition_names()
