"""Actions over REST; what they select, in the store and in memory."""

from datetime import UTC, datetime
from typing import Any

import pytest

from activity.models import ActivityEntry
from cohorts.models import Cohort
from common.instants import Moment
from events import actions
from events.models import Action
from events.selections import Occurrence, matches
from events.store import event_store
from events.store.plans import RowsPlan
from projects.models import Project
from tests.capturing import Capture, event
from tests.cast import ClientFor, error

URL = "/api/projects/@current/actions/"
STEPS = [
    {"event": "$pageview", "url": "/welcome", "url_matching": "contains", "properties": []},
    {
        "event": "sign up",
        "properties": [{"key": "plan", "value": ["free", "pro"], "operator": "exact", "type": "event"}],
    },
]
ELEMENTS = "Element matching (selector, tag_name, text, href) is not supported. Match on event, url and properties."


def test_create__answers_the_action(api: Any, project: Project, member: Any):
    response = api.post(
        URL, {"name": " Signed up ", "tags": ["b", "a", "b ", "a"], "steps": STEPS, "_create_in_folder": "x"}
    )
    made = response.json()

    assert response.status_code == 201
    assert made | {"id": 0, "created_at": "", "created_by": None} == {
        "id": 0,
        "name": "Signed up",
        "description": "",
        "tags": ["a", "b"],
        "steps": STEPS,
        "deleted": False,
        "created_at": "",
        "created_by": None,
        "team_id": project.pk,
        "folder": "x",
        "user_access_level": "editor",
        "is_action": True,
        "is_calculating": False,
        "post_to_slack": False,
        "slack_message_format": "",
        "last_calculated_at": None,
        "pinned_at": None,
        "creation_context": None,
        "bytecode_error": None,
    }
    assert made["created_by"]["email"] == member.email
    assert api.get(f"{URL}{made['id']}/").json() == made


def test_create__unknown_keys_of_steps__are_dropped(api: Any, project: Project):
    made = api.post(URL, {"name": "x", "steps": [{"event": "a", "id": 5, "name": None, "properties": {}}]}).json()

    assert made["steps"] == [{"event": "a", "properties": []}]


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        ({}, "Action steps must be a list"),
        (None, "Action steps must be a list"),
        (["x"], "Action step at index 0 must be an object"),
        ([{}, 5], "Action step at index 1 must be an object"),
        ([{"event": 5}], "steps[0].event: Not a valid string."),
        ([{"url": "(", "url_matching": "regex"}], "steps[0].url: invalid regex pattern"),
        ([{"url_matching": "like"}], 'steps[0].url_matching: "like" is not a valid choice.'),
        ([{"selector": ".x"}], ELEMENTS),
        ([{"href": "x"}], ELEMENTS),
        ([{"properties": [{"value": 1}]}], "steps[0].properties[0].key: Field required"),
        ([{"properties": [{"type": "hogql", "key": "1"}]}], "Property filters of type 'hogql' cannot be computed."),
        (
            [{"properties": [{"key": "a", "operator": "is_cleaned_path_exact"}]}],
            "Operator 'is_cleaned_path_exact' cannot be computed.",
        ),
        ([{"properties": [{"type": "cohort", "value": 5000000}]}], "Cohort with id 5000000 does not exist"),
        ([{"properties": [{"type": "cohort", "value": 10**30}]}], f"Cohort with id {10**30} does not exist"),
    ],
)
def test_create__bad_steps__refused(api: Any, steps: Any, detail: str):
    response = api.post(URL, {"name": "x", "steps": steps})

    assert (response.status_code, response.json()) == (400, error("invalid_input", detail, "steps"))
    assert not Action.objects.exists()


def test_create__too_many_steps__refused(api: Any):
    response = api.post(URL, {"name": "x", "steps": [{}] * 101})

    assert (response.status_code, response.json()["attr"]) == (400, "steps")


@pytest.mark.parametrize(
    ("body", "code"), [({}, "required"), ({"name": ""}, "blank"), ({"name": "x" * 401}, "max_length")]
)
def test_create__bad_name__refused(api: Any, body: dict[str, Any], code: str):
    response = api.post(URL, body)

    assert (response.status_code, response.json()["code"], response.json()["attr"]) == (400, code, "name")


def test_name__of_a_live_action__is_taken(api: Any, project: Project):
    first = api.post(URL, {"name": "x"}).json()["id"]
    other = api.post(URL, {"name": "y"}).json()["id"]
    taken = error("unique", f"This project already has an action with this name, ID {first}", "name")

    assert api.post(URL, {"name": "x"}).json() == taken
    assert api.patch(f"{URL}{other}/", {"name": "x"}).json() == taken
    api.patch(f"{URL}{first}/", {"deleted": True})
    assert api.post(URL, {"name": "x"}).status_code == 201
    assert api.patch(f"{URL}{first}/", {"deleted": False}).json()["code"] == "unique"


def test_update__replaces_steps_and_keeps_a_history(api: Any, project: Project):
    made = api.post(URL, {"name": "x", "steps": STEPS}).json()["id"]
    response = api.patch(f"{URL}{made}/", {"steps": [{"event": "a"}]})
    api.patch(f"{URL}{made}/", {"steps": [{"event": "a"}]})
    api.patch(f"{URL}{made}/", {"deleted": True})
    api.patch(f"{URL}{made}/", {"deleted": False})

    assert response.json()["steps"] == [{"event": "a"}]
    rows = ActivityEntry.objects.filter(scope="Action").order_by("created_at")
    assert [row.activity for row in rows] == ["created", "updated", "deleted", "restored"]
    assert [change["field"] for change in rows[1].detail["changes"]] == ["steps"]


def test_list__newest_first__without_deleted_ones(api: Any, project: Project):
    for name in ("first", "second", "gone"):
        made = api.post(URL, {"name": name}).json()["id"]
    api.patch(f"{URL}{made}/", {"deleted": True})

    def names(**query: Any) -> list[str]:
        return [action["name"] for action in api.get(URL, query).json()["results"]]

    assert names() == ["second", "first"]
    assert names(search="FIR") == ["first"]
    assert api.get(f"{URL}{made}/").json()["deleted"] is True


def test_delete__is_refused_with_an_empty_body(api: Any, project: Project):
    response = api.delete(f"{URL}5/")

    assert (response.status_code, response.content) == (405, b"")
    assert "DELETE" not in response["Allow"]


def test_other_project__404(outsider_api: Any, api: Any, project: Project):
    made = api.post(URL, {"name": "x"}).json()["id"]

    assert outsider_api.get(f"{URL}{made}/").status_code == 404
    assert outsider_api.patch(f"{URL}{made}/", {"name": "y"}).status_code == 404


def test_scopes(project: Project, member: Any, client_for: ClientFor):
    reading = client_for(member, scopes=["action:read"])

    assert reading.get(URL).status_code == 200
    assert reading.post(URL, {"name": "x"}).status_code == 403


# --- What actions select -----------------------------------------------------------------------------------------

SENT: list[dict[str, Any]] = [
    event("$pageview", properties={"$current_url": "https://shop.example/welcome?a=1"}),
    event("$pageview", properties={"$current_url": "https://shop.example/Welcome"}),
    event("$pageview", properties={"$current_url": None}),
    event("$pageview"),
    event("sign up", properties={"plan": "Pro"}),
    event("sign up", properties={"plan": "team", "$set": {"vip": True}}),
    event("sign up", "bob", properties={"$groups": {"company": "acme"}}),
    event(
        "$groupidentify", "z", properties={"$group_type": "company", "$group_key": "acme", "$group_set": {"size": 5}}
    ),
]


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ([], 0),
        ([{}], 8),
        ([{"event": None}], 8),
        ([{"event": ""}], 0),
        ([{"event": "SIGN UP"}], 0),
        (STEPS, 2),
        ([{"url": "/welcome"}], 1),
        ([{"url": ""}], 8),
        ([{"url": "https://shop.example/Welcome", "url_matching": "exact"}], 1),
        ([{"url": r"/[wW]elcome(\?|$)", "url_matching": "regex"}], 2),
        ([{"event": "sign up"}, {"event": "sign up"}], 3),
        ([{"event": "$pageview", "properties": [{"key": "$current_url", "operator": "is_set"}]}], 3),
        ([{"properties": [{"key": "vip", "type": "person", "operator": "exact", "value": True}]}], 6),
        ([{"properties": [{"key": "size", "type": "group", "operator": "gt", "value": 3, "group_type_index": 0}]}], 1),
    ],
)
def test_selection__in_the_store_and_in_memory(project: Project, capture: Capture, steps: list[Any], count: int):
    capture(*SENT)
    action = Action.objects.create(project=project, name="x", steps=steps)
    selection = actions.selection(action)
    rows = event_store().rows(RowsPlan(project_id=project.pk, selection=selection))
    moment = Moment(now=datetime.now(UTC))
    occurrences = [
        Occurrence(
            event=sent["event"],
            properties=sent.get("properties", {}),
            person_properties={"vip": True} if sent["distinct_id"] == "ada" else {},
            group_properties={0: {"size": 5}} if "$groups" in sent.get("properties", {}) else {},
        )
        for sent in SENT
    ]

    assert len(rows) == count
    assert sum(matches(selection, occurrence, moment) for occurrence in occurrences) == count


def test_selection__cohort_filter(project: Project, api: Any):
    cohort = Cohort.objects.create(project=project, name="c")
    made = api.post(
        URL, {"name": "x", "steps": [{"properties": [{"type": "cohort", "value": cohort.pk, "operator": "not_in"}]}]}
    )
    selection = actions.selection(Action.objects.get(pk=made.json()["id"]))
    moment = Moment(now=datetime.now(UTC))

    assert matches(selection, Occurrence(event="a", properties={}), moment)
    assert not matches(selection, Occurrence(event="a", properties={}, cohort_ids=frozenset([cohort.pk])), moment)
