from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from activity.models import ActivityEntry
from activity.recorder import record
from projects.models import Project, User
from tests.cast import ClientFor, error

URL = "/api/projects/@current/activity_log/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def three(project: Project, owner: User, member: User) -> list[ActivityEntry]:
    """Three entries, a minute apart, oldest first; nothing else in the log."""
    ActivityEntry.objects.all().delete()
    facts = [("FeatureFlag", 1, owner), ("FeatureFlag", 2, member), ("Experiment", 1, None)]
    entries = [
        record(project=project, user=user, scope=scope, item_id=item_id, activity="created", name=f"number {number}")
        for number, (scope, item_id, user) in enumerate(facts)
    ]
    for number, entry in enumerate(entries):
        ActivityEntry.objects.filter(pk=entry.pk).update(created_at=NOON + timedelta(minutes=number))
    return entries


def names(content: dict[str, Any]) -> list[str]:
    return [entry["detail"]["name"] for entry in content["results"]]


def test_list__entries__newest_first_in_the_documented_form(
    api: Any, project: Project, member: User, three: list[ActivityEntry]
):
    content = api.get(URL).json()

    assert list(content) == ["next", "previous", "results"]
    assert names(content) == ["number 2", "number 1", "number 0"]
    assert (content["next"], content["previous"]) == (None, None)
    assert content["results"][1] == {
        "id": str(three[1].pk),
        "user": {
            "id": member.pk,
            "uuid": str(member.uuid),
            "distinct_id": str(member.distinct_id),
            "first_name": "Mel",
            "last_name": "",
            "email": "member@example.com",
            "is_email_verified": None,
            "hedgehog_config": None,
            "role_at_organization": None,
        },
        "unread": False,
        "team_id": project.pk,
        "organization_id": str(project.organization_id),
        "was_impersonated": False,
        "is_system": False,
        "activity": "created",
        "item_id": "2",
        "scope": "FeatureFlag",
        "detail": {
            "name": "number 1",
            "short_id": None,
            "type": None,
            "changes": [],
            "trigger": None,
            "context": None,
        },
        "created_at": "2026-03-01T12:01:00Z",
    }
    assert (content["results"][0]["user"], content["results"][0]["is_system"]) == (None, True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("scope=FeatureFlag", ["number 1", "number 0"]),
        ("scope=Nothing", []),
        ("scopes=Experiment,Cohort", ["number 2"]),
        ("scopes=Experiment&scopes=FeatureFlag", ["number 2", "number 1", "number 0"]),
        ("item_id=1", ["number 2", "number 0"]),
        ("scope=FeatureFlag&item_id=1", ["number 0"]),
        ("ordering=created_at", ["number 0", "number 1", "number 2"]),
        ("ordering=-created_at", ["number 2", "number 1", "number 0"]),
        ("page_size=0", ["number 2", "number 1", "number 0"]),
        ("page_size=x", ["number 2", "number 1", "number 0"]),
        ("page_size=2", ["number 2", "number 1"]),
        ("user=9d4f8b8e-45e3-4b65-9c69-0d0b0d2f3a11", []),
    ],
)
def test_list__filters__select(api: Any, three: list[ActivityEntry], query: str, expected: list[str]):
    assert names(api.get(f"{URL}?{query}").json()) == expected


def test_list__user__selects_what_they_did(api: Any, owner: User, three: list[ActivityEntry]):
    assert names(api.get(URL, {"user": str(owner.uuid)}).json()) == ["number 0"]


def test_list__user_that_is_no_uuid__is_refused(api: Any):
    answer = api.get(URL, {"user": "7"})

    assert (answer.status_code, answer.json()) == (400, error("invalid_input", "Must be a valid UUID.", "user"))


def test_list__unknown_ordering__is_refused(api: Any):
    answer = api.get(URL, {"ordering": "user"})

    assert answer.json() == error("invalid_choice", '"user" is not a valid choice.', "ordering")


def test_list__cursor__walks_there_and_back_past_new_entries(api: Any, project: Project, three: list[ActivityEntry]):
    first = api.get(URL, {"page_size": 2, "scopes": "FeatureFlag,Experiment"}).json()
    record(project=project, user=None, scope="Experiment", item_id=9, activity="created", name="new")

    second = api.get(first["next"]).json()

    assert names(second) == ["number 0"]
    assert second["next"] is None
    assert names(api.get(second["previous"]).json()) == ["number 2", "number 1"]
    assert parse_qs(urlsplit(first["next"]).query)["scopes"] == ["FeatureFlag,Experiment"]
    assert first["next"].startswith("http://testserver/api/projects/")


@pytest.mark.parametrize("cursor", ["x", "cD1ub25zZW5zZQ==", "bz0tMQ==", "cD0wMDAxLTAxLTAxKzE0OjAw", "%F0%9F%98%80"])
def test_list__broken_cursor__is_refused_or_ignored_but_never_an_error_of_ours(api: Any, cursor: str):
    assert api.get(f"{URL}?cursor={cursor}").status_code in {200, 400, 404}


def test_list__page__counts(api: Any, three: list[ActivityEntry]):
    content = api.get(URL, {"page": 2, "page_size": 1}).json()

    assert list(content) == ["count", "next", "previous", "results"]
    assert (content["count"], names(content)) == (3, ["number 1"])
    assert names(api.get(content["next"]).json()) == ["number 0"]
    assert names(api.get(content["previous"]).json()) == ["number 2"]
    assert "page=" not in content["previous"].replace("page_size=", "")


@pytest.mark.parametrize("page", ["4", "9" * 30])
def test_list__page_past_the_end__is_empty(api: Any, three: list[ActivityEntry], page: str):
    content = api.get(URL, {"page": page, "page_size": 1}).json()

    assert (content["count"], content["results"], content["next"]) == (3, [], None)


def test_list__large_page_size__is_clamped(api: Any, project: Project):
    for _ in range(1001):
        record(project=project, user=None, scope="Experiment", item_id=1, activity="updated", name="x")

    assert len(api.get(URL, {"page_size": 5000}).json()["results"]) == 1000
    assert len(api.get(URL).json()["results"]) == 100


@pytest.mark.parametrize("size", [1, 3])
def test_list__any_number_of_entries__costs_the_same_queries(
    api: Any, three: list[ActivityEntry], django_assert_num_queries: Any, size: int
):
    api.get(URL)  # marks the key as used

    with django_assert_num_queries(4):
        api.get(URL, {"page_size": size})


def test_list__other_scope__is_refused(member: User, project: Project, client_for: ClientFor):
    answer = client_for(member, scopes=["experiment:write"]).get(URL)

    assert answer.json()["detail"] == "API key missing required scope 'activity_log:read'"


def test_list__outsider__sees_only_their_own(outsider_api: Any, project: Project, three: list[ActivityEntry]):
    assert outsider_api.get(f"/api/projects/{project.pk}/activity_log/").status_code == 403
    assert "number 0" not in names(outsider_api.get(URL).json())


def test_list__other_verbs__are_not_offered(owner_api: Any, three: list[ActivityEntry]):
    for verb in (owner_api.post, owner_api.patch, owner_api.delete):
        assert verb(URL).status_code == 405
    assert owner_api.get(f"{URL}{three[0].pk}/").json()["detail"] == "Endpoint not found."
