"""The `activity/` routes, as feature flags mount them."""

from typing import Any

import pytest

from activity.models import ActivityEntry
from activity.queries import of_items
from activity.recorder import record
from feature_flags.models import FeatureFlag
from feature_flags.services import create_flag, update_flag
from projects.models import Project, User
from tests.cast import ClientFor

FLAGS = "/api/projects/@current/feature_flags/"


@pytest.fixture
def flag(project: Project, member: User) -> FeatureFlag:
    made = create_flag(project=project, user=member, key="a-flag")
    update_flag(flag=made, user=None, changes={"active": False})
    create_flag(project=project, user=member, key="another")
    return made


def test_flag_activity__own_entries__newest_first_in_the_documented_form(api: Any, flag: FeatureFlag):
    content = api.get(f"{FLAGS}{flag.pk}/activity/").json()

    assert list(content) == ["results", "next", "previous", "total_count"]
    assert (content["next"], content["previous"], content["total_count"]) == (None, None, 2)
    newest, oldest = content["results"]
    assert list(newest) == ["id", "user", "activity", "scope", "item_id", "detail", "created_at"]
    assert newest["user"] == {"first_name": "System", "email": None, "is_system": True}
    assert oldest["user"] == {"first_name": "Mel", "email": "member@example.com"}
    assert (newest["activity"], oldest["activity"]) == ("updated", "created")
    assert (newest["scope"], newest["item_id"]) == ("FeatureFlag", str(flag.pk))
    assert (newest["detail"]["id"], newest["detail"]["merge"], newest["detail"]["name"]) == (None, None, "a-flag")
    assert {"field": "active", "action": "changed", "type": "FeatureFlag", "before": True, "after": False} in newest[
        "detail"
    ]["changes"]


def test_all_flag_activity__every_flag__and_nothing_else(api: Any, project: Project, flag: FeatureFlag):
    record(project=project, user=None, scope="Experiment", item_id=flag.pk, activity="created", name="x")

    content = api.get(f"{FLAGS}activity").json()

    assert [entry["detail"]["name"] for entry in content["results"]] == ["another", "a-flag", "a-flag"]


def test_pages__limit_and_links(api: Any, flag: FeatureFlag):
    url = f"{FLAGS}activity/"

    second = api.get(url, {"limit": 1, "page": 2}).json()

    assert (second["total_count"], len(second["results"])) == (3, 1)
    assert second["next"] == f"http://testserver{url}?limit=1&page=3"
    assert second["previous"] == f"http://testserver{url}?limit=1"
    assert api.get(second["next"]).json()["next"] is None
    past = api.get(url, {"limit": 1, "page": 99}).json()
    assert (past["results"], past["total_count"], past["next"]) == ([], 3, None)


@pytest.mark.parametrize(("limit", "shown"), [("x", 10), ("0", 10), ("-5", 10), ("500", 100), ("3", 3)])
def test_pages__limit__is_lenient_and_clamped(api: Any, project: Project, flag: FeatureFlag, limit: str, shown: int):
    for _ in range(110):
        record(project=project, user=None, scope="FeatureFlag", item_id=flag.pk, activity="updated", name="a-flag")

    assert len(api.get(f"{FLAGS}{flag.pk}/activity/", {"limit": limit}).json()["results"]) == shown


def test_flag_activity__deleted_flag_and_user__still_tell(api: Any, project: Project, outsider: User):
    made = create_flag(project=project, user=outsider, key="a-flag")
    update_flag(flag=made, user=None, changes={"deleted": True})
    outsider.delete()

    content = api.get(f"{FLAGS}{made.pk}/activity/").json()

    assert [(entry["activity"], entry["user"] is None) for entry in content["results"]] == [
        ("deleted", False),
        ("created", True),
    ]


def test_flag_activity__flag_of_another_project__is_not_found(outsider_api: Any, flag: FeatureFlag):
    assert outsider_api.get(f"{FLAGS}{flag.pk}/activity/").json()["detail"] == "Not found."
    assert outsider_api.get(f"{FLAGS}activity/").json()["total_count"] == 0


def test_flag_activity__needs_the_scope_of_the_log(member: User, flag: FeatureFlag, client_for: ClientFor):
    for path in ("activity/", f"{flag.pk}/activity/"):
        answer = client_for(member, scopes=["feature_flag:write"]).get(FLAGS + path)
        assert answer.json()["detail"] == "API key missing required scope 'activity_log:read'"
        assert client_for(member, scopes=["activity_log:read"]).get(FLAGS + path).status_code == 200


def test_of_items__several_kinds__selects_exactly_these_of_the_project(project: Project, outsider: User):
    elsewhere = outsider.current_project
    assert elsewhere is not None
    ActivityEntry.objects.all().delete()
    for one, scope, item_id in [
        (project, "Experiment", 1),
        (project, "FeatureFlag", 1),
        (project, "FeatureFlag", 2),
        (project, "FeatureFlag", 3),
        (elsewhere, "FeatureFlag", 2),
    ]:
        record(project=one, user=None, scope=scope, item_id=item_id, activity="created", name=f"{scope} {item_id}")

    found = of_items(project=project, items=[("Experiment", 1), ("FeatureFlag", 2), ("FeatureFlag", "3")])

    assert sorted(entry.detail["name"] for entry in found) == ["Experiment 1", "FeatureFlag 2", "FeatureFlag 3"]
    assert not of_items(project=project, items=[]).exists()
