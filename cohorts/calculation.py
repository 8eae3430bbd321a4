"""Calculating the persons of a cohort from its criteria, and storing them with the outcome."""

# ruff: noqa: S608  (statements are built from constants of these files; values are bound)

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone

from cohorts import criteria
from cohorts.filters import (
    BehavioralCondition,
    CohortGroup,
    CohortMembershipCondition,
    PersonCondition,
    PersonMetadataCondition,
)
from cohorts.models import Cohort, CohortCalculation
from common.errors import DomainError, Invalid
from common.instants import Back, Moment, parse_instant
from events import actions, filters
from events.models import Action
from events.store import event_store
from events.store.base import StoreTimeout
from events.store.conditions import PERSON_METADATA, Statement, all_of, any_of, moment_in
from events.store.limits import time_limit
from events.store.plans import Count, PersonsPlan, PropertyCondition, Selection, Step, Subject
from projects.models import Project

logger = logging.getLogger(__name__)

MAX_DEPTH = 50
_MATCHES = "CREATE TEMPORARY TABLE cohort_matches (leaf integer, person_id uuid) ON COMMIT DROP"
_CHANGES = """
CREATE TEMPORARY TABLE cohort_changes ON COMMIT DROP AS
SELECT coalesce(wanted.id, present.person_id) AS person_id, wanted.id IS NOT NULL AS joins
FROM (SELECT persons.id FROM events_person persons WHERE {condition}) AS wanted
FULL JOIN (SELECT person_id FROM events_cohortmembership WHERE cohort_id = {cohort}) AS present
    ON present.person_id = wanted.id
WHERE wanted.id IS NULL OR present.person_id IS NULL
"""
# In the order in which ingestion locks persons: neither merges nor deletions come between.
_LOCK = """
SELECT count(*) FROM (
    SELECT FROM events_person WHERE id IN (SELECT person_id FROM cohort_changes) ORDER BY id FOR KEY SHARE
) AS locked
"""
_JOIN = """
INSERT INTO events_cohortmembership (project_id, cohort_id, person_id)
SELECT %(project)s, %(cohort)s, persons.id
FROM events_person persons JOIN cohort_changes changes ON changes.person_id = persons.id
WHERE changes.joins ORDER BY persons.id
ON CONFLICT DO NOTHING
"""
_LEAVE = """
DELETE FROM events_cohortmembership members USING cohort_changes changes
WHERE members.cohort_id = %(cohort)s AND members.person_id = changes.person_id AND NOT changes.joins
"""


def calculate(cohort_id: int) -> None:
    """Bring the stored persons of a live cohort up to its criteria; a failure is stored, and the old persons stay.

    Static cohorts are calculated once, at their creation.
    """
    cohort = Cohort.objects.select_related("project").filter(pk=cohort_id, deleted=False).first()
    if cohort is None:
        return
    version, started = cohort.pending_version, timezone.now()
    try:
        count = _calculate(cohort)
    except (DomainError, StoreTimeout, Error) as failure:
        logger.warning("cohort not calculated", extra={"fields": {"cohort": cohort_id}}, exc_info=True)
        _note(cohort, version=version, started=started, error=_text_of(failure))
    else:
        _note(cohort, version=version, started=started, count=count)


def _text_of(failure: Exception) -> str:
    if isinstance(failure, DomainError):
        return failure.detail
    return "The calculation took too long." if isinstance(failure, StoreTimeout) else "The database refused."


@transaction.atomic
def _note(
    cohort: Cohort, *, version: int | None, started: datetime, count: int | None = None, error: str | None = None
) -> None:
    """Store the outcome. Criteria that were changed meanwhile keep the cohort calculating."""
    finished = timezone.now()
    present = Cohort.objects.select_for_update().filter(pk=cohort.pk).first()
    if present is None:
        return
    if error is None:
        present.version, present.count, present.last_calculation = version, count, finished
        present.errors_calculating, present.last_error_message = 0, None
    else:
        present.errors_calculating += 1
        present.last_error_message = error
    present.is_calculating = present.pending_version != version
    present.save(
        update_fields=[
            "version",
            "count",
            "last_calculation",
            "errors_calculating",
            "last_error_message",
            "is_calculating",
        ]
    )
    CohortCalculation.objects.create(
        cohort=present, version=version, started_at=started, finished_at=finished, count=count, error=error
    )


def _calculate(cohort: Cohort) -> int:
    seconds = settings.COHORT_STATEMENT_TIMEOUT_SECONDS
    with time_limit(seconds), connection.cursor() as cursor:
        # Of two calculations of one cohort the second waits, and finds little left to change.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('cohort'), %s)", [cohort.pk % 2**31])
        cursor.execute(_MATCHES)
        work = _Work(project=cohort.project, statement=Statement(moment=moment_in(cohort.project.timezone)))
        condition = work.group(criteria.parse(cohort.filters).properties)
        work.find_behaviors()
        statement = work.statement
        where = all_of([f"persons.project_id = {statement.bind(cohort.project_id)}", condition])
        cursor.execute(_CHANGES.format(condition=where, cohort=statement.bind(cohort.pk)), statement.parameters)
        cursor.execute(_LOCK)
        parameters = {"project": cohort.project_id, "cohort": cohort.pk}
        cursor.execute(_JOIN, parameters)
        cursor.execute(_LEAVE, parameters)
        cursor.execute("SELECT count(*) FROM events_cohortmembership WHERE cohort_id = %(cohort)s", parameters)
        count: int = cursor.fetchone()[0]
        cursor.execute("DROP TABLE cohort_matches, cohort_changes")
        return count


def membership(*, statement: Statement, project: Project, cohort_id: int) -> str:
    """The condition on `persons` that they are members of a cohort: of a dynamic one by its criteria as they are now.

    Raises Invalid for a cohort that does not exist, and for one that depends on what persons did.
    """
    work = _Work(project=project, statement=statement)
    condition = work.member(cohort_id)
    if work.behaviors:
        raise Invalid(f"Cohort with id {cohort_id} depends on events")
    return condition


@dataclass(slots=True)
class _Work:
    """The condition on `persons` in the making. What persons did is looked up before it is asked."""

    project: Project
    statement: Statement
    behaviors: list[PersonsPlan] = field(default_factory=list)
    depth: int = 0

    @property
    def moment(self) -> Moment:
        return self.statement.moment

    def group(self, group: CohortGroup) -> str:
        """An empty group is everybody."""
        members = [
            self.group(member) if isinstance(member, CohortGroup) else self.leaf(member) for member in group.values
        ]
        return any_of(members) if members and group.type == "OR" else all_of(members)

    def leaf(self, leaf: criteria.Leaf) -> str:
        if isinstance(leaf, PersonCondition):
            condition = self.statement.of_person(_about(leaf), document="persons.properties")
        elif isinstance(leaf, PersonMetadataCondition):
            condition = self.statement.property(_about(leaf), document=PERSON_METADATA)
        elif isinstance(leaf, CohortMembershipCondition):
            condition = self.member(leaf.value)
        else:
            condition = self._behavior(leaf)
        return f"NOT ({condition})" if leaf.negation else condition

    def member(self, cohort_id: int) -> str:
        """Of a dynamic cohort its criteria count, as they are now; of a static one the stored persons."""
        found = Cohort.objects.filter(project=self.project, pk=min(cohort_id, 2**63 - 1), deleted=False).first()
        if found is None:
            raise Invalid(f"Cohort with id {cohort_id} does not exist")
        if found.is_static:
            cohort = self.statement.bind(cohort_id)
            return f"persons.id IN (SELECT person_id FROM events_cohortmembership WHERE cohort_id = {cohort})"
        if self.depth == MAX_DEPTH:
            raise Invalid("Cohorts cannot reference other cohorts in a loop.")
        self.depth += 1
        condition = self.group(criteria.parse(found.filters).properties)
        self.depth -= 1
        return condition

    def _behavior(self, leaf: BehavioralCondition) -> str:
        self.behaviors.append(
            PersonsPlan(
                project_id=self.project.pk,
                selection=self._selection(leaf),
                start=self._start(leaf),
                end=self._instant(leaf.explicit_datetime_to) or self.moment.now,
                count=_count(leaf),
                zone=self.project.timezone,
            )
        )
        return f"persons.uuid IN (SELECT person_id FROM cohort_matches WHERE leaf = {len(self.behaviors) - 1:d})"

    def _selection(self, leaf: BehavioralCondition) -> Selection:
        also = filters.conditions(leaf.event_filters or [], project=self.project)
        if isinstance(leaf.key, str):
            return Selection(steps=(Step(event=leaf.key),), conditions=also)
        number = leaf.key if 0 < leaf.key < 2**63 else 0
        action = Action.objects.filter(project=self.project, pk=number, deleted=False).first()
        if action is None:
            raise Invalid(f"Action with id {leaf.key} does not exist")
        action.project = self.project
        return replace(actions.selection(action), conditions=also)

    def _start(self, leaf: BehavioralCondition) -> datetime | None:
        if leaf.explicit_datetime is not None:
            return self._instant(leaf.explicit_datetime)
        amount = min(abs(leaf.time_value or 0), 100_000)
        months = {"month": 1, "year": 12}.get(leaf.time_interval or "")
        if months is not None:
            return Back(months=amount * months, duration=timedelta()).at(self.moment)
        days = 7 if leaf.time_interval == "week" else 1
        return Back(months=0, duration=timedelta(days=amount * days)).at(self.moment)

    def _instant(self, written: str | None) -> datetime | None:
        parsed = None if written is None else parse_instant(written)
        return None if parsed is None else parsed.at(self.moment)

    def find_behaviors(self) -> None:
        """Write down, for each behaviour, the persons that showed it."""
        for number, plan in enumerate(self.behaviors):
            # All of them first: a connection does one thing at a time.
            found = list(event_store().persons(plan))
            with connection.cursor() as cursor, cursor.copy("COPY cohort_matches FROM STDIN") as copy:
                for person_id in found:
                    copy.write_row((number, person_id))
        if self.behaviors:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE cohort_matches")


def _about(leaf: PersonCondition | PersonMetadataCondition) -> PropertyCondition:
    value = tuple(leaf.value) if isinstance(leaf.value, list) else leaf.value
    return PropertyCondition(subject=Subject.PERSON, key=leaf.key, operator=leaf.operator, value=value)


def _count(leaf: BehavioralCondition) -> Count | None:
    if leaf.value == "performed_event":
        return None
    return Count(operator=leaf.operator or "exact", times=min(max(leaf.operator_value or 0, -1), 2**31))
