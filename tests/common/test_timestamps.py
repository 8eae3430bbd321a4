"""Times that PostgreSQL writes look like those that the renderer writes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from common.api.rendering import to_json
from common.timestamps import TimestampText
from projects.models import Project


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2021, 12, 1, 10, 23, tzinfo=UTC), "2021-12-01T10:23:00Z"),
        (datetime(2021, 12, 1, 10, 23, 5, 123456, tzinfo=UTC), "2021-12-01T10:23:05.123456Z"),
        (datetime(2021, 12, 1, 10, 23, 5, 100000, tzinfo=UTC), "2021-12-01T10:23:05.100000Z"),
        (datetime(2021, 12, 1, 10, 23, 5, 1, tzinfo=UTC), "2021-12-01T10:23:05.000001Z"),
        (datetime(2021, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2021-11-30T23:30:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_timestamp_text__any_time__is_that_of_the_renderer(project: Project, time: datetime, text: str) -> None:
    Project.objects.update(created_at=time)
    written = Project.objects.annotate(text=TimestampText("created_at")).values_list("text", flat=True).get()
    assert written == text
    assert to_json(time.astimezone(UTC)) == f'"{text}"'.encode()
