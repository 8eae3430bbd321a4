"""Who is who: the rules by which events change persons and make two of them one. Pure.

Ingestion reads the persons that a batch concerns, has `apply` change them here, step by step in the order of the
events, and writes the outcome.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from events.incoming import IncomingEvent, plain_id

logger = logging.getLogger(__name__)

NATURAL_IDS = UUID("6f0d5a3e-52b7-5a6c-8d3f-1c2b7e9a4d10")
MAX_PROPERTIES_BYTES = 512 * 1024
# What programs send when they have no id: as many persons as clients, so never one person.
_NEVER_IN_ANY_CASE = frozenset(
    {
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "true",
        "false",
    }
)
_NEVER = frozenset({"[object Object]", "NaN", "None", "none", "null", "0"})
_QUOTES = ('"', "'")


def natural_id(project_id: int, distinct_id: str) -> UUID:
    """The person id of a distinct id that has no person, and of the first person it gets."""
    return uuid5(NATURAL_IDS, f"{project_id}:{distinct_id}")


def may_merge(distinct_id: str) -> bool:
    """Whether the id is one that stands for somebody."""
    bare = distinct_id.strip()
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return bool(bare) and bare not in _NEVER and bare.lower() not in _NEVER_IN_ANY_CASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event does to persons. `merge_from` is the id whose person becomes part of `distinct_id`'s."""

    event: IncomingEvent
    distinct_id: str
    set: Mapping[str, Any] = field(default_factory=dict)
    set_once: Mapping[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    merge_from: str | None = None
    merge_identified: bool = False
    identify: bool = False

    @property
    def distinct_ids(self) -> tuple[str, ...]:
        return (self.distinct_id,) if self.merge_from is None else (self.distinct_id, self.merge_from)


_MERGE_SOURCES = {"$identify": "$anon_distinct_id", "$create_alias": "alias", "$merge_dangerously": "alias"}


def step_of(event: IncomingEvent) -> Step | None:
    """The event's step; None for the many that leave persons as they are, though they may make one."""
    properties = event.properties
    changes = "$set" in properties or "$set_once" in properties or "$unset" in properties
    source_property = _MERGE_SOURCES.get(event.event)
    if (not changes and source_property is None) or not event.has_profile:
        return None
    return Step(
        event=event,
        distinct_id=event.distinct_id,
        set=_mapping(properties.get("$set")),
        set_once=_mapping(properties.get("$set_once")),
        unset=_keys(properties.get("$unset")),
        merge_from=None if source_property is None else _source(event, source_property),
        merge_identified=event.event == "$merge_dangerously",
        identify=event.event == "$identify",
    )


def _mapping(sent: Any) -> Mapping[str, Any]:
    return sent if isinstance(sent, dict) else {}


def _keys(sent: Any) -> tuple[str, ...]:
    return tuple(key for key in sent if isinstance(key, str)) if isinstance(sent, list) else ()


def _source(event: IncomingEvent, source_property: str) -> str | None:
    sent = event.properties.get(source_property)
    source = "" if sent is None else plain_id(sent)
    if source in ("", event.distinct_id):
        return None
    if not may_merge(source) or not may_merge(event.distinct_id):
        logger.warning("identities not merged: an id stands for nobody", extra={"fields": {"event": event.uuid}})
        return None
    return source


@dataclass(slots=True)
class PersonState:
    """A person while steps are applied. Other objects must not hold on to `properties`."""

    id: int
    uuid: UUID
    properties: dict[str, Any]
    is_identified: bool
    created_at: datetime
    changed: bool = False


@dataclass(slots=True)
class Outcome:
    """What the steps come to. `merged` maps the ids of persons that are no more to those they are part of now."""

    persons: dict[int, PersonState]
    merged: dict[int, PersonState] = field(default_factory=dict)

    @property
    def changed(self) -> list[PersonState]:
        return [person for key, person in self.persons.items() if person.changed and key not in self.merged]

    @property
    def is_empty(self) -> bool:
        return not self.merged and not self.changed

    def survivor(self, person_id: int) -> PersonState:
        """The person itself, or the one it has become part of."""
        return self.merged.get(person_id) or self.persons[person_id]


def apply(steps: Iterable[Step], *, owners: Mapping[str, int], persons: Mapping[int, PersonState]) -> Outcome:
    """Apply steps in their order. `owners` gives the person of every distinct id the steps name.

    `persons` are changed in place; of a merged pair the properties of the step's own person win.
    """
    outcome = Outcome(persons=dict(persons))
    for step in steps:
        if step.merge_from is not None:
            _merge(step, source=owners[step.merge_from], target=owners[step.distinct_id], outcome=outcome)
        person = outcome.survivor(owners[step.distinct_id])
        if step.identify and not person.is_identified:
            person.is_identified = person.changed = True
        _change_properties(person, step)
    return outcome


def _merge(step: Step, *, source: int, target: int, outcome: Outcome) -> None:
    loser, winner = outcome.survivor(source), outcome.survivor(target)
    if loser is winner:
        return
    if loser.is_identified and not step.merge_identified:
        logger.warning(
            "identities not merged: the other person is identified already",
            extra={"fields": {"event": step.event.uuid}},
        )
        return
    _replace(winner, {**loser.properties, **winner.properties})
    winner.created_at = min(winner.created_at, loser.created_at)
    winner.is_identified = winner.changed = True
    for person_id, survivor in outcome.merged.items():
        if survivor is loser:
            outcome.merged[person_id] = winner
    outcome.merged[loser.id] = winner


def _change_properties(person: PersonState, step: Step) -> None:
    present = person.properties
    new = {key: value for key, value in step.set_once.items() if key not in present}
    new |= {key: value for key, value in step.set.items() if key not in present or not _same(present[key], value)}
    gone = [key for key in step.unset if key in present or key in new]
    if new or gone:
        changed = {**present, **new}
        for key in gone:
            changed.pop(key, None)
        _replace(person, changed)


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one; true and 1, 1 and 1.0 are not, though equal in Python."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict | list):
        return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    return bool(one == other)


def _replace(person: PersonState, properties: dict[str, Any]) -> None:
    if _same(properties, person.properties):
        return
    if len(orjson.dumps(properties)) > MAX_PROPERTIES_BYTES:
        logger.warning("properties of a person not changed: too large", extra={"fields": {"person": str(person.uuid)}})
        return
    person.properties = properties
    person.changed = True
