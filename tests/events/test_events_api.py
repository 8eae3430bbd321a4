"""Stored events and their names over REST."""

from typing import Any

import pytest

from events.identity import natural_id
from events.models import Action
from projects.models import Project
from tests.capturing import Capture, event, person_of
from tests.cast import ClientFor, error

URL = "/api/projects/@current/events/"
DEFINITIONS = "/api/projects/@current/event_definitions/"
UUID_ = "0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"
NO_UUID = "5f0c7d5e-1111-4a51-9b1d-2f6d1c9a8e77"


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.json()
    return [found["event"] for found in response.json()["results"]]


def test_retrieve__shows_the_event_with_its_person(api: Any, project: Project, capture: Capture):
    capture(
        event(
            uuid=UUID_,
            timestamp="2026-03-01T09:00:00.25Z",
            properties={"b": 1, "a": {"x": None}, "$set": {"plan": "pro"}},
        )
    )

    assert api.get(f"{URL}{UUID_}/").json() == {
        "id": UUID_,
        "event": "bought",
        "distinct_id": "ada",
        "timestamp": "2026-03-01T09:00:00.250000Z",
        "properties": {"b": 1, "a": {"x": None}, "$set": {"plan": "pro"}},
        "person": {
            "uuid": str(person_of(project, "ada").uuid),
            "is_identified": False,
            "distinct_ids": ["ada"],
            "properties": {"plan": "pro"},
        },
        "elements": [],
        "elements_chain": "",
    }


def test_retrieve__without_profile__has_no_person(api: Any, capture: Capture):
    capture(event(uuid=UUID_, properties={"$process_person_profile": False}))

    assert api.get(f"{URL}{UUID_}/").json()["person"] is None


@pytest.mark.parametrize("key", [NO_UUID, "5", "x"])
def test_retrieve__unknown__404(api: Any, key: str):
    assert api.get(f"{URL}{key}/").status_code == 404


def test_retrieve__of_another_project__404(outsider_api: Any, capture: Capture):
    capture(event(uuid=UUID_))

    assert outsider_api.get(f"{URL}{UUID_}/").status_code == 404


@pytest.fixture
def some_events(capture: Capture) -> None:
    capture(
        event("a", "ada", timestamp="2026-01-01T00:00:00Z", properties={"n": 1}),
        event("b", "anon", timestamp="2026-01-02T00:00:00Z", properties={"n": 2}),
        event("c", "bob", timestamp="2026-01-03T00:00:00Z", properties={"$set": {"plan": "pro"}}),
        event("$identify", "ada", timestamp="2026-01-04T00:00:00Z", properties={"$anon_distinct_id": "anon"}),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["$identify", "c", "b", "a"]),
        ({"orderBy": '["timestamp"]'}, ["a", "b", "c", "$identify"]),
        ({"orderBy": '["-timestamp"]', "limit": 2}, ["$identify", "c"]),
        ({"event": "a"}, ["a"]),
        ({"distinct_id": "anon"}, ["b"]),
        ({"after": "2026-01-02T00:00:00Z"}, ["$identify", "c"]),
        ({"before": "2026-01-02"}, ["a"]),
        ({"properties": '[{"key": "n", "operator": "gt", "value": 1}]'}, ["b"]),
        ({"properties": '[{"key": "plan", "type": "person", "operator": "exact", "value": "pro"}]'}, ["c"]),
        ({"limit": "x"}, ["$identify", "c", "b", "a"]),
        ({"limit": "5000"}, ["$identify", "c", "b", "a"]),
        ({"person_id": "99999999"}, []),
        ({"person_id": "x"}, []),
    ],
)
def test_list__parameters(api: Any, some_events: None, query: dict[str, Any], found: list[str]):
    assert names(api.get(URL, query)) == found


def test_list__of_a_person__by_id_uuid_and_merged_uuid(api: Any, project: Project, some_events: None):
    person = person_of(project, "ada")
    for key in (person.pk, person.uuid, natural_id(project.pk, "anon")):
        assert names(api.get(URL, {"person_id": str(key)})) == ["$identify", "b", "a"]


def test_list__of_an_action(api: Any, project: Project, some_events: None):
    steps: list[dict[str, Any]] = [{"event": "a"}, {"properties": [{"key": "n", "value": 2}]}]
    action = Action.objects.create(project=project, name="x", steps=steps)

    assert names(api.get(URL, {"action_id": action.pk})) == ["b", "a"]
    assert names(api.get(URL, {"action_id": action.pk, "event": "a"})) == ["a"]


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ({"after": "yesterday"}, "after"),
        ({"before": "2026-13-01"}, "before"),
        ({"orderBy": '["event"]'}, "orderBy"),
        ({"orderBy": "["}, "orderBy"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"properties": "{}"}, "properties"),
        ({"properties": '[{"type": "cohort", "value": 5}]'}, "properties"),
    ],
)
def test_list__bad_parameters__refused(api: Any, query: dict[str, Any], attr: str):
    response = api.get(URL, query)

    assert (response.status_code, response.json()["attr"]) == (400, attr)


@pytest.mark.parametrize("deleted", [True, False])
def test_list__unknown_or_deleted_action__refused(api: Any, project: Project, deleted: bool):
    number = Action.objects.create(project=project, name="x", deleted=True).pk if deleted else 7_000_000
    response = api.get(URL, {"action_id": number})

    assert response.status_code == 400
    assert response.json() == error("invalid_input", f"Action with id {number} does not exist", "action_id")


def test_list__pages__neither_repeat_nor_hide_when_events_arrive(api: Any, capture: Capture):
    time = "2026-01-03T00:00:00Z"
    capture(*(event(f"old-{number}", timestamp=time) for number in range(5)))
    page = api.get(URL, {"limit": 2}).json()
    seen = [found["event"] for found in page["results"]]
    capture(event("new", timestamp="2026-01-04T00:00:00Z"))
    while page["next"] is not None:
        assert set(page) == {"next", "results"}
        page = api.get(page["next"]).json()
        seen += [found["event"] for found in page["results"]]

    assert sorted(seen) == [f"old-{number}" for number in range(5)]


def test_list__statements_do_not_grow(api: Any, capture: Capture, django_assert_max_num_queries: Any):
    capture(*(event("e", f"user-{number}") for number in range(30)))
    with django_assert_max_num_queries(12):
        assert len(names(api.get(URL))) == 30


def test_scopes(member: Any, project: Project, client_for: ClientFor):
    assert client_for(member, scopes=["query:read"]).get(URL).status_code == 200
    assert client_for(member, scopes=["event_definition:read"]).get(URL).status_code == 403
    assert client_for(member, scopes=["event_definition:read"]).get(DEFINITIONS).status_code == 200


def test_definitions__one_per_name(api: Any, project: Project, capture: Capture):
    capture(event("b"), event("a"), event("Abc"))
    page = api.get(DEFINITIONS).json()

    assert page["count"] == 3
    assert [found["name"] for found in page["results"]] == ["Abc", "a", "b"]
    assert set(page["results"][0]) == {"id", "name", "created_at", "last_seen_at"}
    one = page["results"][0]
    assert api.get(f"{DEFINITIONS}{one['id']}/").json() == one


@pytest.mark.parametrize(
    ("query", "found"),
    [({"ordering": "-name"}, ["b", "a", "Abc"]), ({"search": "BC"}, ["Abc"]), ({"ordering": "created_at"}, None)],
)
def test_definitions__order_and_search(api: Any, capture: Capture, query: dict[str, str], found: list[str] | None):
    capture(event("b"), event("a"), event("Abc"))
    listed = [one["name"] for one in api.get(DEFINITIONS, query).json()["results"]]

    assert listed == found if found is not None else len(listed) == 3


@pytest.mark.parametrize("ordering", ["id", "--name", "x"])
def test_definitions__bad_ordering__refused(api: Any, ordering: str):
    response = api.get(DEFINITIONS, {"ordering": ordering})

    assert response.status_code == 400
    assert response.json() == error("invalid_choice", f'"{ordering}" is not a valid choice.', "ordering")


@pytest.mark.parametrize("key", [NO_UUID, "x"])
def test_definitions__unknown__404(api: Any, key: str):
    assert api.get(f"{DEFINITIONS}{key}/").status_code == 404
