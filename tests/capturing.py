"""Sending events as clients do, and looking at what is stored."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from events import definitions, groups
from events.models import Event, Person, PersonDistinctId, PersonOverride
from events.store import partitions
from projects.models import Project

Capture = Callable[..., Any]


@pytest.fixture(autouse=True)
def _forget_what_is_stored():
    """What one test makes is rolled back, so the next one must not believe that it is there."""
    for known in (partitions._known, definitions._known, groups._known):
        known.clear()


@pytest.fixture
def capture(project: Project) -> Capture:
    """`capture({...}, {...})`: send events of the project in one batch; asserts that they are taken."""
    client = Client()

    def send(*events: dict[str, Any], **outer: Any) -> None:
        body = {"api_key": project.api_token, "batch": list(events), **outer}
        response = client.post("/batch/", body, content_type="application/json")
        assert (response.status_code, response.json()) == (200, {"status": "Ok"})

    return send


def event(name: str = "bought", distinct_id: str = "ada", **more: Any) -> dict[str, Any]:
    return {"event": name, "distinct_id": distinct_id, **more}


def stored(project: Project) -> list[Event]:
    """The stored events of a project, oldest first."""
    return list(Event.objects.filter(project=project).order_by("timestamp", "uuid"))


def person_of(project: Project, distinct_id: str) -> Person:
    return Person.objects.get(project=project, distinct_id_rows__distinct_id=distinct_id)


def distinct_ids_of(person: Person) -> list[str]:
    rows = PersonDistinctId.objects.filter(person=person)
    return list(rows.values_list("distinct_id", flat=True))


def overrides(project: Project) -> dict[Any, Any]:
    return dict(PersonOverride.objects.filter(project=project).values_list("old_person_id", "person_id"))
