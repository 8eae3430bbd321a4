"""What the table of events promises by itself."""

from typing import Any

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

_INSERT = """
INSERT INTO events_event (project_id, uuid, event, distinct_id, person_id, timestamp, created_at, properties)
VALUES (1, %s, 'bought', 'ada', gen_random_uuid(), %s, now(), '{}') ON CONFLICT DO NOTHING
"""
UUID = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"


def stored(sql: str, *parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def test_insert__same_uuid_on_the_same_utc_day__is_ignored():
    assert stored(_INSERT, UUID, "2026-03-01T00:30:00+01:00") == 1
    assert stored(_INSERT, UUID, "2026-02-28T00:00:00Z") == 0


def test_insert__same_uuid_on_another_utc_day__is_another_event():
    assert stored(_INSERT, UUID, "2026-03-01T23:59:59.999999Z") == 1
    assert stored(_INSERT, UUID, "2026-03-02T00:00:00Z") == 1
