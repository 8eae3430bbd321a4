"""Conditions on events and persons as SQL. They mean what `common.matching` means in memory.

Known differences, all at the edge: numbers with an exponent are written out by PostgreSQL, keys of objects inside
properties come in its order, a few letters have a lower case of several characters in Python only, a time in the
hour that a clock change repeats is read as the second of the two, and a pattern that `patterns` cannot translate
matches nothing.
"""

# ruff: noqa: S608  (statements are built from constants of this file; values are bound)

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import DataError, connection, transaction
from django.utils import timezone

from common.instants import Moment, parse_instant
from common.matching import SPELLINGS, compile_filter, keys_to_read, number_of, text_of
from common.semantic_versions import (
    Version,
    VersionRange,
    caret_range,
    parse_version,
    tilde_range,
    wildcard_range,
)
from events.store.patterns import translated
from events.store.plans import (
    CohortCondition,
    Condition,
    ExposurePlan,
    PropertyCondition,
    Selection,
    Step,
    Subject,
    UrlMatching,
)

NEVER, ALWAYS = "FALSE", "TRUE"
# What the service itself knows of a person; the creation time as the text that filters on dates read.
PERSON_METADATA = """jsonb_build_object(
    'created_at', to_char(persons.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
)"""
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_ORDERED = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_DATED = {"is_date_exact": "=", "is_date_before": "<", "is_date_after": ">"}
_VERSIONED = {
    "semver_eq": "=",
    "semver_neq": "<>",
    "semver_gt": ">",
    "semver_gte": ">=",
    "semver_lt": "<",
    "semver_lte": "<=",
}
_VERSION_RANGES: Mapping[str, Callable[[Any], VersionRange | None]] = {
    "semver_tilde": tilde_range,
    "semver_caret": caret_range,
    "semver_wildcard": wildcard_range,
}


def moment_in(zone: str, now: datetime | None = None) -> Moment:
    """The moment at which relative dates are counted back, in a project's time zone."""
    return Moment(now=now or timezone.now(), zone=UTC if zone == "UTC" else ZoneInfo(zone))


def moment_of(plan: ExposurePlan) -> Moment:
    """The same for results: the end of their window."""
    return moment_in(plan.zone, now=plan.end)


class Statement:
    """A statement in the making: bound values, and the tables its conditions look at.

    `persons` narrows what it reads of events to those of some persons, by the ids as stored; None reads all.
    """

    def __init__(self, *, moment: Moment, persons: Collection[UUID] | None = None) -> None:
        self.moment = moment
        self.persons = persons
        self.parameters: dict[str, Any] = {}
        self.needs_persons = False
        self.needs_groups: set[int] = set()

    def bind(self, value: Any) -> str:
        """The placeholder of a value."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def part(self) -> "Statement":
        """For a part of the statement: its own joins, the statement's parameters."""
        part = self.anew()
        part.parameters = self.parameters
        return part

    def anew(self) -> "Statement":
        """Another statement, as of the same moment and about the same persons."""
        return Statement(moment=self.moment, persons=self.persons)

    def events(self, *, project_id: int, start: datetime, end: datetime) -> str:
        """The table `events`: the project's events of the window, or those in it of the persons."""
        if self.persons is None:
            return "events_event events"
        # Person by person, from the index on persons: the planner would rather read all events of a flag.
        return f"""
            unnest({self.bind(list(self.persons))}::uuid[]) AS wanted (person_id)
            CROSS JOIN LATERAL (
                SELECT * FROM events_event
                WHERE project_id = {self.bind(project_id)} AND person_id = wanted.person_id
                  AND timestamp BETWEEN {self.bind(start)} AND {self.bind(end)} OFFSET 0
            ) AS events
        """

    def joins(self, *, with_overrides: bool) -> str:
        """What `events_event events` is joined with, for the conditions made so far."""
        joins = []
        if with_overrides or self.needs_persons:
            joins.append(
                "LEFT JOIN events_personoverride overrides ON overrides.project_id = events.project_id"
                " AND overrides.old_person_id = events.person_id"
            )
        if self.needs_persons:
            joins.append(
                "LEFT JOIN events_person persons ON persons.project_id = events.project_id"
                " AND persons.uuid = coalesce(overrides.person_id, events.person_id)"
            )
        joins += [
            f"LEFT JOIN events_group group_{index} ON group_{index}.project_id = events.project_id"
            f" AND group_{index}.group_type_index = {index:d} AND group_{index}.group_key = events.group_{index}"
            for index in sorted(self.needs_groups)
        ]
        return "\n".join(joins)

    # --- what is selected --------------------------------------------------------------------------------------

    def selection(self, selection: Selection) -> str:
        """The condition on `events` that it is one of the selection."""
        steps = any_of([self.step(step) for step in selection.steps])
        return all_of([steps, *(self.condition(condition) for condition in selection.conditions)])

    def step(self, step: Step) -> str:
        parts = [self.condition(condition) for condition in step.conditions]
        if step.event is not None:
            parts.insert(0, f"events.event = {self.bind(step.event)}")
        if step.url is not None:
            parts.append(self._url(step.url, step.url_matching))
        return all_of(parts)

    def _url(self, url: str, matching: UrlMatching) -> str:
        value = f"(events.properties -> {self.bind('$current_url')})"
        if matching is UrlMatching.EXACT:
            test = f"events_text({value}) = {self.bind(url)}"
        elif matching is UrlMatching.CONTAINS:
            test = f"strpos(events_text({value}), {self.bind(url)}) > 0"
        else:
            test = self._regex(f"events_text({value})", url)
        return f"coalesce({test}, FALSE)"

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, CohortCondition):
            self.needs_persons = True
            member = (
                "EXISTS (SELECT FROM events_cohortmembership members WHERE members.person_id = persons.id"
                f" AND members.cohort_id = {self.bind(condition.cohort_id)})"
            )
            return member if condition.is_member else f"NOT {member}"
        return self.property(condition, document=self._document(condition))

    def _document(self, condition: PropertyCondition) -> str:
        if condition.subject is Subject.EVENT:
            return "events.properties"
        if condition.subject is Subject.PERSON:
            self.needs_persons = True
            return "persons.properties"
        index = condition.group_type_index or 0
        self.needs_groups.add(index)
        return f"group_{index:d}.group_properties"

    # --- properties --------------------------------------------------------------------------------------------

    def property(self, condition: PropertyCondition, *, document: str) -> str:
        """The condition on a property of the JSON object `document`, which may be NULL; never NULL itself."""
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        operator = SPELLINGS.get(condition.operator, condition.operator)
        of_event = condition.subject is Subject.EVENT
        matcher = compile_filter(operator=operator, value=value, of_event=of_event)
        if not matcher.usable:
            return NEVER
        key = self.bind(condition.key)
        present = f"coalesce({document} ? {key}, FALSE)"
        if operator in ("is_set", "is_not_set"):
            return present if operator == "is_set" else f"NOT {present}"
        test = self._test(operator, value, f"({document} -> {key})", of_event=of_event)
        if test == NEVER:
            return NEVER
        return f"CASE WHEN {present} THEN coalesce({test}, FALSE) ELSE {str(matcher.when_missing).upper()} END"

    def of_person(self, condition: PropertyCondition, *, document: str) -> str:
        """As `property`, of a person: one that is missing may be there under another key."""
        *first, last = (replace(condition, key=key) for key in keys_to_read(condition.key))
        test = self.property(last, document=document)
        for one in reversed(first):
            present = f"coalesce({document} ? {self.bind(one.key)}, FALSE)"
            test = f"CASE WHEN {present} THEN {self.property(one, document=document)} ELSE {test} END"
        return test

    def _test(self, operator: str, value: Any, property_: str, *, of_event: bool) -> str:
        """The test of a property that is there; NULL counts as false."""
        positive = operator.removeprefix("not_")
        if operator in ("exact", "is_not"):
            test = self._exact(value, property_, truthiness=not of_event)
            return f"NOT {test}" if operator == "is_not" else test
        if positive == "between" or operator in _ORDERED:
            return self._number(operator, value, f"events_number({property_})")
        if operator in _DATED:
            return self._dated(operator, value, property_)
        text = f"events_text({property_})"
        if operator in _VERSIONED or operator in _VERSION_RANGES:
            return self._versioned(operator, value, text)
        test = self._regex(text, text_of(value)) if positive == "regex" else self._part(positive, value, text)
        # A pattern that cannot be searched for is not found, and not missed either.
        is_unsearchable = positive == "regex" and test == NEVER
        return test if positive == operator or is_unsearchable else f"NOT ({test})"

    def _number(self, operator: str, value: Any, number: str) -> str:
        if operator in _ORDERED:
            return f"{number} {_ORDERED[operator]} {self.bind(number_of(value))}"
        low, high = (self.bind(number_of(limit)) for limit in value)
        negate = "NOT " if operator == "not_between" else ""
        return f"{number} {negate}BETWEEN {low} AND {high}"

    def _exact(self, value: Any, property_: str, *, truthiness: bool) -> str:
        members = value if isinstance(value, list) else [value]
        if not members:
            return f"events_truthy({property_})"
        if truthiness and all(_is_truth_value(member) for member in members):
            wanted = all(text_of(member).lower() == "true" for member in members)
            return f"events_truthy({property_}) = {str(wanted).upper()}"
        texts = sorted({text for member in members for text in _spellings(member)})
        return f"lower(events_text({property_})) = ANY({self.bind(texts)})"

    def _part(self, operator: str, value: Any, text: str) -> str:
        folded = f"translate({text}, '{_UPPER}', '{_LOWER}')"
        if operator == "icontains_multi":
            return any_of([f"strpos({folded}, {self.bind(_folded(part))}) > 0" for part in value])
        part = self.bind(_folded(value))
        if operator == "icontains":
            return f"strpos({folded}, {part}) > 0"
        if operator == "starts_with":
            return f"starts_with({folded}, {part})"
        return f"right({folded}, length({part})) = {part}"

    def _regex(self, text: str, pattern: str) -> str:
        accepted = translated(pattern)
        if accepted is None or not _is_accepted(accepted):
            return NEVER
        return f"{text} ~ {self.bind(accepted)}"

    def _dated(self, operator: str, value: Any, property_: str) -> str:
        reference = parse_instant(value)
        instant = None if reference is None else reference.at(self.moment)
        if instant is None:
            return NEVER
        zone = self.bind(str(self.moment.zone))
        return f"events_instant({property_}, {zone}) {_DATED[operator]} {self.bind(instant)}"

    def _versioned(self, operator: str, value: Any, text: str) -> str:
        key = f'events_version({text}) COLLATE "C"'
        if operator in _VERSIONED:
            limit = parse_version(text_of(value))
            return NEVER if limit is None else f"{key} {_VERSIONED[operator]} {self._version(limit)}"
        bounds = _VERSION_RANGES[operator](text_of(value))
        if bounds is None:
            return NEVER
        return f"({key} >= {self._version(bounds.lower)} AND {key} < {self._version(bounds.upper)})"

    def _version(self, version: Version) -> str:
        """The version as the texts that `events_version` makes of it."""
        key = [_version_part(number) for number in (version.major, version.minor, version.patch)]
        key.append("1" if version.is_release else "0")
        key += [f"1{part.word}" if part.is_word else _version_part(part.number) for part in version.pre_release]
        return f"{self.bind(key)}::text[]"


def all_of(conditions: list[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions) or ALWAYS


def any_of(conditions: list[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions) or NEVER


def _version_part(number: int) -> str:
    digits = str(number).lstrip("0")
    return f"0{len(digits):03d}{digits}"


def _is_truth_value(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _spellings(value: Any) -> list[str]:
    """The lower-case texts a property equal to the value may have: a number also written out."""
    texts = [text_of(value).lower()]
    if isinstance(value, float):
        texts.append(format(Decimal(repr(value)), "f"))
    return [text.replace("\x00", "") for text in texts]


def _folded(value: Any) -> str:
    return text_of(value).translate(str.maketrans(_UPPER, _LOWER)).replace("\x00", "")


@lru_cache(maxsize=1000)
def _is_accepted(pattern: str) -> bool:
    """Whether PostgreSQL compiles the pattern; it refuses some that are legal but pointless, and very large ones."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT '' ~ %s", [pattern])
        return True
    except DataError:
        return False
