"""Persons for lists and answers: found by what callers know of them, shown with their distinct ids."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from common.errors import Missing
from events.models import Person, PersonOverride
from events.store.conditions import Statement, all_of, any_of, moment_in
from events.store.plans import PropertyCondition
from projects.access import parse_id, parse_uuid
from projects.models import Project

# ruff: noqa: S608  (statements are built from constants; values are bound)

MAX_DISTINCT_IDS = 1000
_COLUMNS = "persons.id, persons.uuid, persons.properties::text, persons.is_identified, persons.created_at"
# What people recognise comes before what machines made up; beyond that, who joined first.
_DISTINCT_IDS = """
SELECT person_id, distinct_id FROM (
    SELECT person_id, distinct_id, row_number() OVER (
        PARTITION BY person_id
        ORDER BY distinct_id ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', joined_at, id
    ) AS position
    FROM events_persondistinctid WHERE person_id = ANY(%s)
) AS ordered
WHERE position <= %s ORDER BY person_id, position
"""


class FoundPerson(NamedTuple):
    """A person; `properties` as JSON text."""

    id: int
    uuid: UUID
    properties: str
    is_identified: bool
    created_at: datetime
    distinct_ids: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSearch:
    """Which persons; conditions, on properties of persons, add up."""

    distinct_id: str | None = None
    email: str | None = None
    text: str | None = None
    conditions: tuple[PropertyCondition, ...] = ()
    cohort_id: int | None = None
    # The last person of the page before.
    behind: FoundPerson | None = None


def search(*, project: Project, wanted: PersonSearch, limit: int, offset: int = 0) -> list[FoundPerson]:
    """A page of matching persons, newest first."""
    statement = Statement(moment=moment_in(project.timezone))
    parts = [f"persons.project_id = {statement.bind(project.pk)}", *_parts(wanted, statement)]
    sql = f"""
        SELECT {_COLUMNS} FROM events_person persons WHERE {all_of(parts)}
        ORDER BY persons.created_at DESC, persons.id DESC
        LIMIT {statement.bind(limit)} OFFSET {statement.bind(offset)}
    """
    return _with_distinct_ids(_fetch(sql, statement), most=MAX_DISTINCT_IDS)


def _parts(wanted: PersonSearch, statement: Statement) -> Iterable[str]:
    if wanted.distinct_id is not None:
        yield f"persons.id = ({_owner(statement, wanted.distinct_id)})"
    if wanted.email is not None:
        # Both halves, for the index on addresses.
        yield "persons.properties ? 'email'"
        yield f"persons.properties ->> 'email' = {statement.bind(wanted.email)}"
    if wanted.text is not None:
        yield _search(wanted.text, statement)
    if wanted.cohort_id is not None:
        cohort = statement.bind(wanted.cohort_id)
        yield f"persons.id IN (SELECT person_id FROM events_cohortmembership WHERE cohort_id = {cohort})"
    if wanted.behind is not None:
        time, number = statement.bind(wanted.behind.created_at), statement.bind(wanted.behind.id)
        yield f"(persons.created_at, persons.id) < ({time}, {number})"
    for condition in wanted.conditions:
        yield statement.property(condition, document="persons.properties")


def _owner(statement: Statement, distinct_id: str) -> str:
    return (
        "SELECT person_id FROM events_persondistinctid WHERE project_id = persons.project_id"
        f" AND distinct_id = {statement.bind(distinct_id)}"
    )


def _search(text: str, statement: Statement) -> str:
    part = statement.bind(text.lower())
    ways = [f"strpos(lower(persons.properties ->> '{name}'), {part}) > 0" for name in ("email", "name")]
    ways.append(f"persons.id = ({_owner(statement, text)})")
    uuid = parse_uuid(text)
    if uuid is not None:
        ways.append(f"persons.uuid = {statement.bind(uuid)}")
    return any_of(ways)


def find(*, project: Project, key: str) -> Person:
    """The person with this id or uuid; a uuid that was merged away finds the survivor. Raises Missing."""
    number = parse_id(key)
    persons = Person.objects.filter(project=project)
    if number is not None:
        person = persons.filter(pk=number).first()
    else:
        uuid = parse_uuid(key)
        if uuid is None:
            raise Missing
        person = persons.filter(uuid=survivor(project=project, uuid=uuid)).first()
    if person is None:
        raise Missing
    return person


def survivor(*, project: Project, uuid: UUID) -> UUID:
    """The person id that events stored under `uuid` belong to now."""
    leading = PersonOverride.objects.filter(project=project, old_person_id=uuid)
    return leading.values_list("person_id", flat=True).first() or uuid


def one(*, project: Project, key: str) -> FoundPerson:
    """The person with this id or uuid, as `find` finds it. Raises Missing."""
    person = find(project=project, key=key)
    return _by("persons.id", [person.pk], project=project, most=MAX_DISTINCT_IDS)[0]


def by_uuid(*, project: Project, uuids: Collection[UUID], most_distinct_ids: int) -> dict[UUID, FoundPerson]:
    """Those of the persons that have a profile, in two statements whatever their number."""
    found = _by("persons.uuid", list(uuids), project=project, most=most_distinct_ids)
    return {person.uuid: person for person in found}


def _by(column: str, keys: list[Any], *, project: Project, most: int) -> list[FoundPerson]:
    statement = Statement(moment=moment_in("UTC"))
    condition = f"persons.project_id = {statement.bind(project.pk)} AND {column} = ANY({statement.bind(keys)})"
    return _with_distinct_ids(
        _fetch(f"SELECT {_COLUMNS} FROM events_person persons WHERE {condition}", statement), most=most
    )


def _with_distinct_ids(rows: list[Any], *, most: int) -> list[FoundPerson]:
    ids: dict[int, list[str]] = {row[0]: [] for row in rows}
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_DISTINCT_IDS, [list(ids), most])
            for person_id, distinct_id in cursor.fetchall():
                ids[person_id].append(distinct_id)
    return [FoundPerson._make((*row, ids[row[0]])) for row in rows]


def _fetch(sql: str, statement: Statement) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        rows: list[Any] = cursor.fetchall()
        return rows
