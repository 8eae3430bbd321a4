"""When flags were called last, and which of them are forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_flags import services
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.capturing import Capture, event

URL = "/api/projects/@current/feature_flags/"
OPEN = {"groups": [{"properties": [], "rollout_percentage": 100}]}
HALF = {"groups": [{"properties": [], "rollout_percentage": 50}]}


def called(key: str, when: datetime) -> dict[str, Any]:
    properties = {"$feature_flag": key, "$feature_flag_response": True}
    return event("$feature_flag_called", timestamp=when.isoformat(), properties=properties)


def made(project: Project, member: User, key: str, *, days_old: int, filters: Any = None) -> FeatureFlag:
    flag = services.create_flag(project=project, user=member, key=key, filters=filters or OPEN)
    FeatureFlag.objects.filter(pk=flag.pk).update(created_at=datetime.now(UTC) - timedelta(days=days_old))
    return flag


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def test_last_called_at__is_the_newest_call(api: Any, project: Project, member: User, capture: Capture):
    flag = made(project, member, "f", days_old=1)
    newest = datetime(2026, 3, 1, 9, tzinfo=UTC)
    capture(called("f", newest), called("f", newest - timedelta(days=1)), called("other", newest + timedelta(days=1)))

    assert api.get(f"{URL}{flag.pk}/").json()["last_called_at"] == "2026-03-01T09:00:00Z"
    assert api.get(URL).json()["results"][0]["last_called_at"] == "2026-03-01T09:00:00Z"


@pytest.mark.parametrize(
    ("days_old", "filters", "last_call", "status"),
    [
        (40, OPEN, None, "STALE"),
        (40, OPEN, 31, "STALE"),
        (40, HALF, 31, "STALE"),
        (40, OPEN, 29, "ACTIVE"),
        (40, HALF, None, "ACTIVE"),
        (29, OPEN, None, "ACTIVE"),
    ],
)
def test_status(
    api: Any,
    project: Project,
    member: User,
    capture: Capture,
    days_old: int,
    filters: Any,
    last_call: int | None,
    status: str,
):
    flag = made(project, member, "f", days_old=days_old, filters=filters)
    if last_call is not None:
        capture(called("f", ago(last_call)))

    assert api.get(f"{URL}{flag.pk}/").json()["status"] == status
    assert api.get(f"{URL}{flag.pk}/status").json()["status"] == status.lower()
    listed = [found["key"] for found in api.get(URL, {"active": "STALE"}).json()["results"]]
    assert listed == (["f"] if status == "STALE" else [])


def test_status__switched_off__is_not_stale(api: Any, project: Project, member: User):
    flag = made(project, member, "f", days_old=40)
    FeatureFlag.objects.update(active=False)

    assert api.get(f"{URL}{flag.pk}/").json()["status"] == "ACTIVE"
    assert api.get(URL, {"active": "STALE"}).json()["results"] == []


def test_list__statements_do_not_grow(
    api: Any, project: Project, member: User, capture: Capture, django_assert_max_num_queries: Any
):
    for number in range(10):
        made(project, member, str(number), days_old=40)
    with django_assert_max_num_queries(12):
        assert len(api.get(URL, {"active": "STALE"}).json()["results"]) == 10
