"""Lists that take too long: cancelled at the limit, and answered as such."""

import json
from typing import Any

import pytest
from django.db import connection

from projects.models import Project
from tests.capturing import Capture, event, person_of
from tests.cast import error

BASE = "/api/projects/@current/"
TEXT = "The query exceeded the time limit of 0.2 seconds."
TIMED_OUT = {**error("query_timeout", TEXT), "type": "server_error"}


@pytest.fixture
def slow(settings: Any) -> Any:
    """`slow(table)`: from now on reading the table takes ten seconds, and lists may take a fifth of one."""

    def put_to_sleep(table: str) -> None:
        settings.LIST_STATEMENT_TIMEOUT_SECONDS = 0.2
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE {table} RENAME TO kept;"
                f"CREATE VIEW {table} AS SELECT kept.* FROM pg_sleep(10), kept"
            )

    return put_to_sleep


@pytest.mark.parametrize(
    ("table", "address"),
    [
        ("events_event", "events/"),
        ("events_event", "events/0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77/"),
        ("events_person", "events/"),
        ("events_person", "persons/"),
        ("events_person", "persons/?search=ada"),
        ("events_group", "groups/?group_type_index=0"),
        ("events_person", "cohorts/{cohort}/persons/"),
        ("events_person", "cohorts/{cohort}/persons.csv"),
    ],
)
def test_list_that_takes_too_long__is_cancelled(
    api: Any, project: Project, capture: Capture, slow: Any, table: str, address: str
):
    capture(
        event(uuid="0190b3e4-7c1e-7a51-9b1d-2f6d1c9a8e77"),
        event("$groupidentify", properties={"$group_type": "company", "$group_key": "acme"}),
    )
    ada = str(person_of(project, "ada").uuid)
    made = api.post(f"{BASE}cohorts/", {"name": "x", "is_static": True, "_create_static_person_ids": [ada]})
    path = BASE + address.format(cohort=made.json()["id"])
    quick = api.get(path)
    assert quick.status_code == 200
    assert quick.getvalue()  # reading to the end closes the file
    slow(table)
    response = api.get(path)

    assert (response.status_code, response.json()) == (504, TIMED_OUT)


def test_limit__ends_with_the_list(api: Any, settings: Any):
    settings.LIST_STATEMENT_TIMEOUT_SECONDS = 1
    assert api.get(f"{BASE}events/").status_code == 200

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.2)")


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|aa)+$",
        "(x+x+)+y",
        "(a|b)*a(a|b){200}c",
        "(.*)*(.*)*(.*)*x",
        r"(?:\b\w+\b\s*)+$",
        # PostgreSQL takes long to find out that these are too complex.
        r"(\b|a)*" * 20,
        r"(?:\b\B|a){0,255}" * 3,
    ],
)
@pytest.mark.parametrize("address", ["events/", "persons/"])
def test_pattern_meant_to_hang__is_answered_or_cancelled(
    api: Any, capture: Capture, settings: Any, pattern: str, address: str
):
    settings.LIST_STATEMENT_TIMEOUT_SECONDS = 0.5
    text = "a" * 50_000
    capture(event(properties={"text": text, "$set": {"text": text}}))
    condition = {"key": "text", "operator": "regex", "value": pattern}
    response = api.get(f"{BASE}{address}", {"properties": json.dumps([condition])})

    assert response.status_code in (200, 504), response.json()
    # The connection is of use afterwards.
    assert api.get(f"{BASE}{address}").status_code == 200
