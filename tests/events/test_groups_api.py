"""Groups and group types over REST, and how events make them."""

from typing import Any

import pytest

from events.models import Group
from projects.models import Project
from tests.capturing import Capture, event
from tests.cast import ClientFor, error

URL = "/api/projects/@current/groups/"


def told(group_type: Any, key: Any, properties: Any = None) -> dict[str, Any]:
    return event(
        "$groupidentify", "x", properties={"$group_type": group_type, "$group_key": key, "$group_set": properties}
    )


def test_group_types__are_made_in_order__at_most_five(api: Any, project: Project, capture: Capture):
    capture(event(properties={"$groups": {"company": "acme", "team": "a"}}), told("plan", "pro"))
    capture(event(properties={"$groups": {"d": "1", "e": "1", "f": "1", "company": "acme"}}))
    response = api.get("/api/projects/@current/groups_types/")

    assert response.json() == [
        {"group_type": name, "group_type_index": index, "name_singular": None, "name_plural": None}
        for index, name in enumerate(["company", "team", "plan", "d", "e"])
    ]


def test_list__shows_groups_newest_first(api: Any, project: Project, capture: Capture):
    capture(told("company", "acme", {"name": "Acme", "n": 1}))
    capture(told("company", "other"), told("team", "red"))
    page = api.get(URL, {"group_type_index": 0}).json()

    assert [(group["group_key"], group["group_properties"]) for group in page["results"]] == [
        ("other", {}),
        ("acme", {"name": "Acme", "n": 1}),
    ]
    assert set(page) == {"next", "previous", "results"}
    assert set(page["results"][0]) == {"group_type_index", "group_key", "group_properties", "created_at"}


@pytest.mark.parametrize(("text", "keys"), [("AC", ["acme"]), ("big", ["x-1"]), ("1", ["x-1"]), ("%", [])])
def test_list__search__in_key_and_name(api: Any, capture: Capture, text: str, keys: list[str]):
    capture(told("company", "acme"), told("company", "x-1", {"name": "Big Corp"}))

    found = api.get(URL, {"group_type_index": 0, "search": text}).json()["results"]
    assert [group["group_key"] for group in found] == keys


def test_list__group_type_index__is_required(api: Any):
    response = api.get(URL)
    assert (response.status_code, response.json()) == (
        400,
        error("required", "This field is required.", "group_type_index"),
    )
    assert api.get(URL, {"group_type_index": "x"}).status_code == 400
    assert api.get(URL, {"group_type_index": "99999999999"}).json()["results"] == []


def test_find(api: Any, project: Project, capture: Capture):
    capture(told("company", "acme", {"n": 1}))

    assert api.get(f"{URL}find/", {"group_type_index": 0, "group_key": "acme"}).json()["group_properties"] == {"n": 1}
    assert api.get(f"{URL}find/", {"group_type_index": 1, "group_key": "acme"}).status_code == 404
    assert api.get(f"{URL}find/", {"group_type_index": 0}).status_code == 404


def test_groupidentify__adds_and_overwrites_properties(project: Project, capture: Capture):
    capture(told("company", "acme", {"a": 1, "b": 1}))
    capture(told("company", "acme", {"b": 2}), told("company", "acme", {"c": 3}))

    assert Group.objects.get().group_properties == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("group_type", "key"), [(None, "acme"), ("", "acme"), (5, "acme"), ("company", ""), ("company", None)]
)
def test_groupidentify__without_type_or_key__is_stored_and_makes_nothing(
    project: Project, capture: Capture, group_type: Any, key: Any
):
    capture(told(group_type, key))

    assert not Group.objects.exists()


def test_groupidentify__long_and_odd_keys(project: Project, capture: Capture):
    capture(told("company", "k" * 500, {"a\x00": "\x00b"}), told("company", 7))

    assert {group.group_key for group in Group.objects.all()} == {"k" * 400, "7"}


def test_other_verbs__405(api: Any):
    assert api.post(URL, {}).status_code == 405
    assert api.delete(URL).status_code == 405


def test_scope(member: Any, project: Project, client_for: ClientFor):
    assert client_for(member, scopes=["group:read"]).get(URL, {"group_type_index": 0}).status_code == 200
    assert client_for(member, scopes=["person:read"]).get(URL, {"group_type_index": 0}).status_code == 403
