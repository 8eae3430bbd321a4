"""Conditions on a subject, compiled from stored filters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from common.matching import MISSING, Matcher, Missing, compile_filter, keys_to_read, text_of

MAX_DEPTH = 100


class Malformed(ValueError):
    """A stored document is not what the rules let in; the message says where."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PersonCondition:
    """A property of the person. `instead` are the keys read when `key` is missing."""

    key: str
    matcher: Matcher
    instead: tuple[str, ...] = ()

    def read(self, person: Mapping[str, Any]) -> Any:
        """The value the condition looks at, MISSING when there is none."""
        value = person.get(self.key, MISSING)
        if value is MISSING:
            for key in self.instead:
                value = person.get(key, MISSING)
                if value is not MISSING:
                    break
        return value


@dataclass(frozen=True, slots=True, eq=False)
class MetadataCondition:
    """Something the service itself knows of the person, such as when it was first seen."""

    key: str
    matcher: Matcher


@dataclass(frozen=True, slots=True, eq=False)
class GroupCondition:
    """A property of the group of one type."""

    key: str
    matcher: Matcher
    group_type_index: int | None


@dataclass(frozen=True, slots=True, eq=False)
class CohortCondition:
    """Membership of a cohort; `wanted` False asks for the opposite."""

    cohort_id: int
    wanted: bool


@dataclass(frozen=True, slots=True, eq=False)
class FlagCondition:
    """What another flag answers for the same subject: any enabled result, none, or one variant."""

    flag_id: int | None
    wanted: bool | str


Condition = PersonCondition | MetadataCondition | GroupCondition | CohortCondition | FlagCondition


@dataclass(frozen=True, slots=True)
class Negated:
    """A leaf of a cohort that must not hold."""

    condition: PersonCondition | MetadataCondition


@dataclass(frozen=True, slots=True)
class CohortTree:
    """A node of a cohort's criteria: all of its members hold (`every`), or one does. Without members it holds."""

    every: bool
    members: tuple["CohortNode", ...]


CohortNode = CohortTree | PersonCondition | MetadataCondition | CohortCondition | Negated


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is no object")
    return value


def listed(value: Any, what: str) -> list[Any]:
    """A list; null counts as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{what} is no list")
    return value


def identifier(value: Any) -> int | None:
    """An id as a number or as its decimal text; None when it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else None


_known: WeakValueDictionary[str, PersonCondition] = WeakValueDictionary()


def compile_condition(stored: Any) -> Condition:
    """A property filter of a flag. Raises Malformed when it cannot be told what it is about.

    Flags of a project often ask the same of a person: for the same filter the same object is returned, so that what
    one of them has found out serves the others.
    """
    document = mapping(stored, "a property")
    text = text_of(document)
    known = _known.get(text)
    if known is not None:
        return known
    compiled = _condition(document)
    if isinstance(compiled, PersonCondition) and text:
        _known[text] = compiled
    return compiled


def _condition(document: Mapping[str, Any]) -> Condition:
    kind, key = document.get("type", "person"), document.get("key")
    operator = document.get("operator") or "exact"
    if not isinstance(operator, str):
        raise Malformed("an operator is no text")
    if kind == "cohort":
        return _membership(document, operator)
    if not isinstance(key, str):
        raise Malformed("a key is no text")
    if kind == "flag":
        wanted = document.get("value")
        return FlagCondition(identifier(key), wanted if isinstance(wanted, bool | str) else False)
    if kind == "group":
        index = document.get("group_type_index")
        return GroupCondition(key, _matcher(document, operator), None if index is None else group_type_index(index))
    if kind in ("person", "person_metadata"):
        return _of_person(document, key, operator)
    raise Malformed("a property is of an unknown type")


def group_type_index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed("a group type index is no integer")
    return value


def _matcher(document: Mapping[str, Any], operator: str) -> Matcher:
    value: Any | Missing = document.get("value", MISSING)
    return compile_filter(operator=operator, value=value)


def _of_person(document: Mapping[str, Any], key: str, operator: str) -> PersonCondition | MetadataCondition:
    matcher = _matcher(document, operator)
    if document.get("type") == "person_metadata":
        return MetadataCondition(key, matcher)
    return PersonCondition(key, matcher, keys_to_read(key)[1:])


def _membership(document: Mapping[str, Any], operator: str) -> CohortCondition:
    cohort_id = identifier(document.get("value"))
    if cohort_id is None:
        raise Malformed("a cohort is named by no number")
    wanted = operator != "not_in"
    return CohortCondition(cohort_id, wanted is not bool(document.get("negation")))


def compile_cohort(filters: Any) -> CohortTree:
    """The criteria of a dynamic cohort. Raises Malformed for criteria that need events or are no criteria."""
    return _tree(mapping(mapping(filters, "a cohort").get("properties"), "criteria"), 0)


def _tree(node: Mapping[str, Any], depth: int) -> CohortTree:
    if depth > MAX_DEPTH:
        raise Malformed("criteria are nested too deeply")
    members = listed(node.get("values"), "a group of criteria")
    every = str(node.get("type", "AND")).upper() != "OR"
    return CohortTree(every, tuple(_node(mapping(member, "a criterion"), depth + 1) for member in members))


def _node(node: Mapping[str, Any], depth: int) -> CohortNode:
    if "values" in node:
        return _tree(node, depth)
    operator = node.get("operator") or "exact"
    kind, key = node.get("type"), node.get("key")
    if not isinstance(operator, str):
        raise Malformed("an operator is no text")
    if kind == "cohort":
        return _membership(node, operator)
    if kind not in ("person", "person_metadata") or not isinstance(key, str):
        raise Malformed("a criterion is not about a person's properties")
    condition = _of_person(node, key, operator)
    return Negated(condition) if node.get("negation") else condition
