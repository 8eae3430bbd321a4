"""What lists of events, persons, groups and cohort members cost in SQL: the same for one row and for many."""

from typing import Any

import pytest

from events.models import Person
from projects.models import Project
from tests.capturing import Capture, event
from tests.query_counts import pinned

BASE = "/api/projects/@current/"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("events list", "events/"),
        ("persons list", "persons/"),
        ("groups list", "groups/?group_type_index=0"),
        ("cohort persons", "cohorts/{cohort}/persons/"),
    ],
)
@pytest.mark.parametrize("many", [1, 20])
def test_list__costs_the_same_for_one_and_many(
    api: Any, project: Project, capture: Capture, name: str, address: str, many: int
):
    for number in range(many):
        key = {"$group_type": "company", "$group_key": f"acme-{number}"}
        capture(event("$groupidentify", f"user-{number}", properties=key))
    uuids = [str(uuid) for uuid in Person.objects.filter(project=project).values_list("uuid", flat=True)]
    made = api.post(f"{BASE}cohorts/", {"name": "x", "is_static": True, "_create_static_person_ids": uuids})
    path = BASE + address.format(cohort=made.json()["id"])
    api.get(path)
    with pinned(name):
        response = api.get(path)

    assert len(response.json()["results"]) == many
