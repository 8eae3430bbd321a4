"""The persons of static cohorts: read from a CSV file, named one by one, added and removed."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import orjson
from django.db import connection, transaction

from cohorts.models import Cohort
from common.errors import Invalid, InvalidState, Missing
from events import person_reading
from events.models import CohortMembership
from projects.access import parse_uuid

# Of several columns the first of these is read.
COLUMNS = ("person_id", "distinct_id", "email")
_PERSONS = {
    "person_id": """
        SELECT coalesce(
            (SELECT survivors.id FROM events_personoverride overrides
             JOIN events_person survivors
                ON survivors.project_id = overrides.project_id AND survivors.uuid = overrides.person_id
             WHERE overrides.project_id = %(project)s AND overrides.old_person_id = named.value::uuid),
            (SELECT id FROM events_person WHERE project_id = %(project)s AND uuid = named.value::uuid)
        ) AS person_id FROM named
    """,
    "distinct_id": """
        SELECT ids.person_id FROM named
        JOIN events_persondistinctid ids ON ids.project_id = %(project)s AND ids.distinct_id = named.value
    """,
    "email": """
        SELECT persons.id AS person_id FROM named
        JOIN events_person persons ON persons.properties ? 'email' AND persons.properties ->> 'email' = named.value
        WHERE persons.project_id = %(project)s
    """,
}
_ADD = """
WITH named AS (SELECT value FROM json_array_elements_text(%(values)s::json) AS members (value)),
found AS ({persons}),
-- In the order in which ingestion locks persons.
locked AS (SELECT id FROM events_person WHERE id IN (SELECT person_id FROM found) ORDER BY id FOR KEY SHARE)
INSERT INTO events_cohortmembership (project_id, cohort_id, person_id)
SELECT %(project)s, %(cohort)s, id FROM locked ORDER BY id
ON CONFLICT DO NOTHING
"""


_RECOUNT = """
UPDATE cohorts_cohort cohorts SET count = present.count
FROM (
    SELECT counted.id, (SELECT count(*) FROM events_cohortmembership WHERE cohort_id = counted.id) AS count
    FROM cohorts_cohort counted WHERE counted.is_static AND NOT counted.deleted
) AS present
WHERE cohorts.id = present.id AND cohorts.count IS DISTINCT FROM present.count
"""


def read_csv(content: bytes) -> tuple[str, list[str]]:
    """What a file names persons by, and the values. Raises Invalid with attr `csv`.

    A file of one column without a header holds distinct ids.
    """
    try:
        text = content.decode("utf-8-sig")
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except UnicodeDecodeError as error:
        raise _refusal("The file must be encoded in UTF-8.") from error
    except csv.Error as error:
        raise _refusal(f"The file is no CSV: {error}.") from error
    if not rows:
        raise _refusal("The file is empty.")
    header = [cell.lower().replace("-", "_").replace(" ", "_") for cell in rows[0]]
    for name in COLUMNS:
        if name in header:
            position = header.index(name)
            return name, _values(row[position] for row in rows[1:] if len(row) > position)
    if len(header) > 1:
        raise _refusal(f"With several columns, the first row must name one of {', '.join(COLUMNS)}.")
    return "distinct_id", _values(row[0] for row in rows)


def _values(cells: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(cell.replace("\x00", "") for cell in cells if cell))
    if not found:
        raise _refusal("The file names nobody.")
    return found


def _refusal(detail: str) -> Invalid:
    return Invalid(detail, attr="csv")


def add(*, cohort: Cohort, column: str, values: Sequence[str]) -> None:
    """Make the persons named by the values of a column members; unknown ones are left out."""
    if column == "person_id":
        values = [str(uuid) for value in values if (uuid := parse_uuid(value)) is not None]
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD.format(persons=_PERSONS[column]),
            {"project": cohort.project_id, "cohort": cohort.pk, "values": orjson.dumps(values).decode()},
        )
    _count(cohort)


@transaction.atomic
def add_persons(*, cohort: Cohort, uuids: Collection[UUID]) -> None:
    """Add persons to a static cohort. Raises InvalidState for a dynamic one."""
    _check_static(cohort)
    add(cohort=cohort, column="person_id", values=[str(uuid) for uuid in uuids])


@transaction.atomic
def remove_person(*, cohort: Cohort, key: str) -> None:
    """Remove a person from a static cohort. Raises InvalidState for a dynamic one, Missing when it is not in it."""
    _check_static(cohort)
    person = person_reading.find(project=cohort.project, key=key)
    deleted, _ = CohortMembership.objects.filter(cohort_id=cohort.pk, person=person).delete()
    if not deleted:
        raise Missing
    _count(cohort)


def recount() -> int:
    """Bring the counts of static cohorts up to the persons that were deleted or merged; returns how many changed."""
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT)
        changed: int = cursor.rowcount
        return changed


def _check_static(cohort: Cohort) -> None:
    if not cohort.is_static:
        raise InvalidState("Can only add or remove persons of static cohorts.")


def _count(cohort: Cohort) -> None:
    cohort.count = CohortMembership.objects.filter(cohort_id=cohort.pk).count()
    Cohort.objects.filter(pk=cohort.pk).update(count=cohort.count)
