"""Deleting a project with its events: everything goes, nothing of others, in statements that do not grow."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cohorts.models import Cohort
from events.models import CohortMembership, ContinuityOverride, Event, ImportedFile, Person
from projects.models import Project
from projects.services import delete_project
from tests.capturing import Capture, event

PERSONS = 40


@pytest.fixture
def filled(project: Project, capture: Capture) -> Any:
    """`filled(persons)`: fill the project with so many persons, and everything that events bring along."""

    def fill(persons: int) -> None:
        for number in range(persons):
            capture(
                event("seen", f"anon-{number}"),
                event("$identify", f"user-{number}", properties={"$anon_distinct_id": f"anon-{number}"}),
                event("$groupidentify", properties={"$group_type": "company", "$group_key": f"acme-{number}"}),
                event("ancient", f"user-{number}", timestamp="0044-03-15T12:00:00Z"),
            )
        cohort = Cohort.objects.create(project=project, name="x")
        ImportedFile.objects.create(project=project, name="e.jsonl", size=1, digest="x")
        for person in Person.objects.filter(project=project):
            CohortMembership.objects.create(project=project, cohort_id=cohort.pk, person=person)
            ContinuityOverride.objects.create(project=project, person=person, feature_flag_id=1, hash_key="x")

    return fill


def rows_by_table(project_id: int) -> dict[str, int]:
    """How many rows each table has that belong to the project, empty ones left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_name)"
            " WHERE column_name = 'project_id' AND table_type = 'BASE TABLE'"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [project_id])
            found[table] = cursor.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def test_everything_of_the_project_is_gone(project: Project, filled: Any):
    filled(3)
    assert {"events_event", "events_person", "events_personoverride", "events_group", "events_importedfile"} <= set(
        rows_by_table(project.pk)
    )
    number = project.pk
    delete_project(project=project)

    assert rows_by_table(number) == {}
    connection.check_constraints()


def test_other_projects_keep_theirs(project: Project, outsider: Any, filled: Any):
    other = Project.objects.exclude(pk=project.pk).get()
    Person.objects.create(project=other, uuid=uuid4())
    filled(1)
    Event.objects.filter(project=project, event="seen").update(project_id=other.pk)
    delete_project(project=project)

    assert Person.objects.get().project_id == other.pk
    assert [found.event for found in Event.objects.filter(project_id=other.pk)] == ["seen"]


@pytest.mark.parametrize("persons", [1, PERSONS])
def test_statements__do_not_grow_with_the_events(project: Project, filled: Any, persons: int):
    filled(persons)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        delete_project(project=project)

    # One a table, and those by which Django follows what is left.
    assert len(captured) < 60
