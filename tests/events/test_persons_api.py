"""Persons over REST."""

import json
from typing import Any

import pytest
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from activity.models import ActivityEntry
from events import tasks
from events.identity import natural_id
from events.models import CohortMembership, ContinuityOverride, Person, PersonDistinctId
from projects.models import Project
from tests.capturing import Capture, event, overrides, person_of, stored
from tests.cast import ClientFor, error

URL = "/api/projects/@current/persons/"
UUID_ = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"
NO_UUID = "5f0c7d5e-1111-4a51-9b1d-2f6d1c9a8e77"


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.json()
    return [person["name"] for person in response.json()["results"]]


def run_jobs() -> None:
    """Run the queued deletions, as the worker would."""
    for job in ProcrastinateJob.objects.filter(task_name="events.delete_events_of_persons", status="todo"):
        tasks.delete_events_of_persons(**job.args)


def test_retrieve__by_id_and_uuid__shows_the_person(api: Any, project: Project, capture: Capture):
    capture(
        event("$identify", "ada", timestamp="2026-03-01T09:00:00Z", properties={"$anon_distinct_id": UUID_}),
        event("set", "ada", properties={"$set": {"email": "ada@example.com", "plan": "pro", "n": 1.50}}),
    )
    person = person_of(project, "ada")
    expected = {
        "id": person.pk,
        "uuid": str(natural_id(project.pk, "ada")),
        "name": "ada@example.com",
        "distinct_ids": ["ada", UUID_],
        "properties": {"email": "ada@example.com", "plan": "pro", "n": 1.5},
        "is_identified": True,
        "created_at": "2026-03-01T09:00:00Z",
    }

    assert api.get(f"{URL}{person.pk}/").json() == expected
    assert api.get(f"{URL}{person.uuid}/").json() == expected


def test_retrieve__uuid_that_was_merged_away__finds_the_survivor(api: Any, project: Project, capture: Capture):
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}))

    assert api.get(f"{URL}{natural_id(project.pk, 'anon-1')}/").json()["distinct_ids"] == ["ada", "anon-1"]


@pytest.mark.parametrize("key", ["0", "999999999", NO_UUID, "ada", "9" * 40])
def test_retrieve__unknown__404(api: Any, capture: Capture, key: str):
    capture(event())

    assert api.get(f"{URL}{key}/").status_code == 404


def test_distinct_ids__people_recognise_come_first(api: Any, project: Project, capture: Capture):
    capture(
        event("$identify", UUID_, properties={"$anon_distinct_id": "zoe"}),
        event("$merge_dangerously", UUID_, properties={"alias": "amy"}),
    )

    assert api.get(URL).json()["results"][0]["distinct_ids"] == ["zoe", "amy", UUID_]


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"email": "a@example.com", "name": "Ada"}, "a@example.com"),
        ({"email": "", "name": "Ada"}, "Ada"),
        ({"email": 5, "name": None, "username": "ada1"}, "ada1"),
        ({}, "ada"),
    ],
)
def test_name(api: Any, capture: Capture, properties: dict[str, Any], name: str):
    capture(event(properties={"$set": properties}))

    assert names(api.get(URL)) == [name]


@pytest.fixture
def three_persons(capture: Capture) -> None:
    capture(
        event("e", "ada", timestamp="2026-01-01T00:00:00Z", properties={"$set": {"email": "Ada@example.com", "n": 1}}),
        event("e", "bob", timestamp="2026-01-02T00:00:00Z", properties={"$set": {"name": "Bob Example", "n": 2}}),
        event("e", "eve", timestamp="2026-01-03T00:00:00Z"),
    )


def test_list__newest_first(api: Any, three_persons: None):
    assert names(api.get(URL)) == ["eve", "Bob Example", "Ada@example.com"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"distinct_id": "bob"}, ["Bob Example"]),
        ({"distinct_id": "bo"}, []),
        ({"email": "Ada@example.com"}, ["Ada@example.com"]),
        ({"email": "ada@example.com"}, []),
        ({"search": "EXAMPLE"}, ["Bob Example", "Ada@example.com"]),
        ({"search": "eve"}, ["eve"]),
        ({"search": "100%"}, []),
        ({"search": "ada", "distinct_id": "bob"}, []),
        ({"properties": [{"key": "n", "type": "person", "operator": "gte", "value": 2}]}, ["Bob Example"]),
        ({"properties": [{"key": "n", "operator": "is_not_set"}]}, ["eve"]),
        ({"properties": [{"key": "n", "value": 1}, {"key": "n", "value": 2}]}, []),
        ({"properties": [{}]}, ["eve", "Bob Example", "Ada@example.com"]),
        ({"properties": [{"key": "email", "operator": "regex", "value": "^A.*com$"}]}, ["Ada@example.com"]),
    ],
)
def test_list__conditions(api: Any, three_persons: None, query: dict[str, Any], found: list[str]):
    if "properties" in query:
        query = {**query, "properties": json.dumps(query["properties"])}

    assert names(api.get(URL, query)) == found


def test_list__search_by_uuid(api: Any, project: Project, three_persons: None):
    assert names(api.get(URL, {"search": str(natural_id(project.pk, "bob"))})) == ["Bob Example"]


@pytest.mark.parametrize(
    ("properties", "detail"),
    [
        ("{}", "properties must be a JSON array"),
        ("[", "properties must be a JSON array"),
        *(
            (
                f'[{{"key": "a", "type": "{kind}", "operator": "exact", "value": 1}}]',
                f"Property filters of type '{kind}' cannot be computed.",
            )
            for kind in ("session", "group", "event")
        ),
        ('[{"value": 1}]', "properties[0].key: Field required"),
        ('[{"key": "a", "operator": "like", "value": 1}]', None),
    ],
)
def test_list__bad_properties__refused(api: Any, properties: str, detail: str | None):
    response = api.get(URL, {"properties": properties})

    assert (response.status_code, response.json()["attr"]) == (400, "properties")
    assert detail is None or response.json()["detail"] == detail


def test_list__pages_without_count(api: Any, three_persons: None):
    first = api.get(URL, {"limit": 2}).json()
    second = api.get(first["next"]).json()

    assert set(first) == {"next", "previous", "results"}
    assert first["previous"] is None
    assert [person["name"] for person in second["results"]] == ["Ada@example.com"]
    assert second["next"] is None
    assert "limit=2" in second["previous"]
    assert "offset" not in second["previous"]
    assert api.get(URL, {"offset": 10}).json()["results"] == []


def test_list__other_project__is_not_seen(outsider_api: Any, three_persons: None):
    assert names(outsider_api.get(URL)) == []


def test_list__statements_do_not_grow(api: Any, capture: Capture, django_assert_max_num_queries: Any):
    capture(*(event("e", f"user-{number}") for number in range(30)))
    with django_assert_max_num_queries(12):
        assert len(names(api.get(URL))) == 30


@pytest.mark.parametrize("verb", ["post", "patch", "put"])
def test_other_verbs__405(api: Any, verb: str):
    assert getattr(api, verb)(URL, {}).status_code == 405


def test_delete__removes_everything_but_events_at_once(api: Any, project: Project, capture: Capture):
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}), event("e", "bob"))
    person = person_of(project, "ada")
    CohortMembership.objects.create(project=project, cohort_id=1, person=person)
    ContinuityOverride.objects.create(project=project, person=person, feature_flag_id=1, hash_key="x")
    response = api.delete(f"{URL}{person.uuid}/")

    assert (response.status_code, response.content) == (202, b"")
    assert list(PersonDistinctId.objects.values_list("distinct_id", flat=True)) == ["bob"]
    assert not CohortMembership.objects.exists()
    assert not ContinuityOverride.objects.exists()
    run_jobs()
    assert len(stored(project)) == 2
    assert len(overrides(project)) == 1


def test_delete__is_one_activity_row_without_personal_data(api: Any, project: Project, member: Any, capture: Capture):
    capture(event(properties={"$set": {"email": "ada@example.com"}}))
    person = person_of(project, "ada")
    api.delete(f"{URL}{person.pk}/")
    row = ActivityEntry.objects.get(scope="Person")

    assert (row.activity, row.item_id, row.user) == ("deleted", str(person.uuid), member)
    assert "ada" not in json.dumps(row.detail)


def test_delete__with_events__a_job_removes_those_stored_before(api: Any, project: Project, capture: Capture):
    capture(event("before merge", "anon-1"), event("other", "bob"))
    capture(event("$identify", "ada", properties={"$anon_distinct_id": "anon-1"}))
    person = person_of(project, "ada")
    _shift_storage("-1 hour")
    assert api.delete(f"{URL}{person.pk}/?delete_events=true").status_code == 202
    assert len(stored(project)) == 3
    capture(event("afterwards", "ada"))
    _shift_storage("1 hour", only="afterwards")
    run_jobs()

    assert [found.event for found in stored(project)] == ["other", "afterwards"]
    assert overrides(project) == {}
    assert person_of(project, "ada").properties == {}


def _shift_storage(by: str, only: str = "%") -> None:
    """In a test all is one transaction, and the time of storage that of its beginning."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_event SET created_at = created_at + %s::interval WHERE event LIKE %s", [by, only])


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_delete__bad_flag__refused(api: Any, project: Project, capture: Capture, value: str):
    capture(event())
    response = api.delete(f"{URL}{person_of(project, 'ada').pk}/?delete_events={value}")

    assert response.status_code == 400
    assert Person.objects.count() == 1


def test_bulk_delete__by_uuid_and_distinct_id(api: Any, project: Project, capture: Capture):
    capture(event("e", "ada"), event("e", "bob"), event("e", "eve"))
    body = {
        "ids": [str(natural_id(project.pk, "ada")), NO_UUID, "no uuid"],
        "distinct_ids": ["ada", "bob", "nobody"],
    }
    response = api.post(f"{URL}bulk_delete/", {**body, "delete_events": True})

    assert response.status_code == 202
    assert response.json() == {"persons_found": 2, "persons_deleted": 2, "events_queued_for_deletion": True}
    assert [person.uuid for person in Person.objects.all()] == [natural_id(project.pk, "eve")]


def test_bulk_delete__in_the_query(api: Any, project: Project, capture: Capture):
    capture(event("e", "ada"), event("e", "bob"))
    response = api.post(f"{URL}bulk_delete/?distinct_ids=ada,bob&keep_person=false")

    assert response.json() == {"persons_found": 2, "persons_deleted": 2, "events_queued_for_deletion": False}


def test_bulk_delete__keep_person__removes_events_only(api: Any, project: Project, capture: Capture):
    capture(event("e", "ada"), event("e", "bob"))
    _shift_storage("-1 hour")
    response = api.post(f"{URL}bulk_delete/", {"distinct_ids": ["ada"], "keep_person": True, "delete_events": True})
    run_jobs()

    assert response.json() == {"persons_found": 1, "persons_deleted": 0, "events_queued_for_deletion": True}
    assert [found.distinct_id for found in stored(project)] == ["bob"]
    assert Person.objects.count() == 2
    assert not ActivityEntry.objects.filter(scope="Person").exists()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "You need to specify either distinct_ids or ids"),
        ({"ids": [], "distinct_ids": []}, "You need to specify either distinct_ids or ids"),
        ({"ids": ["x"] * 1001}, "You can only pass 1000 ids in one call"),
        ({"distinct_ids": ["x"] * 1001}, "You can only pass 1000 ids in one call"),
    ],
)
def test_bulk_delete__refusals(api: Any, body: dict[str, Any], detail: str):
    response = api.post(f"{URL}bulk_delete/", body)

    assert (response.status_code, response.json()) == (400, error("invalid_input", detail))


def test_scopes(project: Project, member: Any, client_for: ClientFor, capture: Capture):
    capture(event())
    reading = client_for(member, scopes=["person:read"])

    assert reading.get(URL).status_code == 200
    assert reading.delete(f"{URL}{person_of(project, 'ada').pk}/").status_code == 403
    assert client_for(member, scopes=["query:read"]).get(URL).status_code == 403


def test_deletion_job__is_known_to_the_worker():
    assert "events.delete_events_of_persons" in app.tasks
