"""What the filters of a cohort may say, and what they refer to."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from cohorts.filters import (
    BehavioralCondition,
    CohortFilters,
    CohortGroup,
    CohortMembershipCondition,
    PersonCondition,
    PersonMetadataCondition,
)
from cohorts.models import Cohort
from common.errors import Invalid
from common.instants import parse_instant
from common.property_filters import why_not_computed
from common.shapes import problems
from projects.models import Project

ATTR = "filters"
Leaf = PersonCondition | PersonMetadataCondition | CohortMembershipCondition | BehavioralCondition

_MAX_DEPTH = 20
_MAX_LEAVES = 1000
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "person": ("key", "value", "operator"),
    "person_metadata": ("key", "value", "operator"),
    "cohort": ("key", "value"),
    "behavioral": ("key", "value", "event_type"),
}
_BEHAVIORS = ("performed_event", "performed_event_multiple")
_WITHOUT_VALUE = frozenset({"is_set", "is_not_set"})
_ONLY_ELSEWHERE = frozenset({"in", "not_in"})
# Everybody; what a static cohort without criteria has.
NO_CRITERIA: Mapping[str, Any] = {"properties": {"type": "AND", "values": []}}


def parse(filters: Any) -> CohortFilters:
    """The criteria in a sent or stored document. Raises Invalid for the first thing wrong."""
    _check_form(filters)
    try:
        parsed = CohortFilters.model_validate({"properties": filters["properties"]})
    except ValidationError as error:
        first = problems(error)[0]
        raise Invalid(f"{_place(first['loc'])}: {first['msg']}", attr=ATTR) from error
    for leaf in leaves(parsed.properties):
        _check_leaf(leaf)
    return parsed


def leaves(group: CohortGroup) -> Iterator[Leaf]:
    """Every condition of the group, however deeply nested."""
    for member in group.values:
        if isinstance(member, CohortGroup):
            yield from leaves(member)
        else:
            yield member


def referenced(filters: CohortFilters) -> set[int]:
    """The ids of the cohorts that the criteria refer to."""
    return {leaf.value for leaf in leaves(filters.properties) if isinstance(leaf, CohortMembershipCondition)}


def needs_events(filters: CohortFilters) -> bool:
    """Whether a person's properties alone do not decide."""
    return any(isinstance(leaf, BehavioralCondition) for leaf in leaves(filters.properties))


def check_references(filters: CohortFilters, *, project: Project, cohort_id: int | None) -> None:
    """Raise Invalid when a cohort referred to does not exist, or leads back to the one with `cohort_id`."""
    pending, seen = referenced(filters), set[int]()
    while pending:
        if cohort_id is not None and cohort_id in pending:
            raise Invalid("Cohorts cannot reference other cohorts in a loop.", attr=ATTR)
        live = Cohort.objects.filter(project=project, pk__in=[one for one in pending if 0 < one < 2**63], deleted=False)
        found = {cohort.pk: cohort for cohort in live}
        if not seen and pending - found.keys():
            raise Invalid(f"Cohort with id {min(pending - found.keys())} does not exist", attr=ATTR)
        seen |= pending
        nested = [references_of(cohort) for cohort in found.values()]
        pending = set[int]().union(*nested) - seen


def references_of(cohort: Cohort) -> set[int]:
    """The ids of the cohorts that a stored cohort refers to; those of a static one don't matter any more."""
    return set() if cohort.is_static else nested_ids(cohort.filters)


def nested_ids(filters: Mapping[str, Any]) -> set[int]:
    """The ids of the cohorts that a stored document refers to, whatever else is in it."""
    found, pending = set[int](), [filters.get("properties")]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("values"), list):
            pending.extend(node["values"])
        elif node.get("type") == "cohort" and type(node.get("value")) is int:
            found.add(node["value"])
    return found


def _check_form(filters: Any) -> None:
    """The mistakes that have texts of their own."""
    properties = filters.get("properties") if isinstance(filters, dict) else None
    if not isinstance(properties, dict) or "type" not in properties or "values" not in properties:
        raise Invalid("Must contain a 'properties' key with type and values", attr=ATTR)
    count, level = 0, [properties]
    for _ in range(_MAX_DEPTH):
        members = [member for node in level for member in _values(node)]
        for member in members:
            if isinstance(member, dict) and "values" not in member:
                _check_keys(member)
        count += len(members)
        if count > _MAX_LEAVES:
            raise Invalid(f"properties: at most {_MAX_LEAVES} conditions are allowed", attr=ATTR)
        level = [member for member in members if isinstance(member, dict) and "values" in member]
        if not level:
            return
    raise Invalid(f"properties: nested more than {_MAX_DEPTH} levels deep", attr=ATTR)


def _values(node: Mapping[str, Any]) -> list[Any]:
    values = node.get("values")
    return values if isinstance(values, list) else []


def _check_keys(leaf: Mapping[str, Any]) -> None:
    kind = leaf.get("type")
    required = _REQUIRED.get(kind, ()) if isinstance(kind, str) else ()
    if leaf.get("operator") in _WITHOUT_VALUE:
        required = tuple(key for key in required if key != "value")
    missing = [key for key in required if leaf.get(key) is None and not (key == "value" and "value" in leaf)]
    if missing:
        raise Invalid(f"Missing required keys for {kind} filter: {', '.join(missing)}", attr=ATTR)
    if kind == "behavioral" and leaf["value"] not in _BEHAVIORS:
        raise Invalid(
            f"Unsupported behavioral value: '{leaf['value']}'. Supported: {', '.join(_BEHAVIORS)}.", attr=ATTR
        )


def _check_leaf(leaf: Leaf) -> None:
    if isinstance(leaf, PersonCondition | PersonMetadataCondition):
        if leaf.operator in _ONLY_ELSEWHERE or (why_not_computed(leaf) and leaf.type == "person"):
            raise Invalid(f"Operator '{leaf.operator}' cannot be computed.", attr=ATTR)
    elif isinstance(leaf, BehavioralCondition):
        _check_behavior(leaf)


def _check_behavior(leaf: BehavioralCondition) -> None:
    missing = []
    if leaf.explicit_datetime is None:
        missing = [name for name in ("time_value", "time_interval") if getattr(leaf, name) is None]
    if leaf.value == "performed_event_multiple":
        missing += [name for name in ("operator", "operator_value") if getattr(leaf, name) is None]
    if missing:
        raise Invalid(f"Missing required keys for behavioral filter: {', '.join(missing)}", attr=ATTR)
    if (leaf.event_type == "actions") != isinstance(leaf.key, int):
        wanted = "the id of an action" if leaf.event_type == "actions" else "the name of an event"
        raise Invalid(f"The key of a behavioral filter on {leaf.event_type} must be {wanted}.", attr=ATTR)
    for date in (leaf.explicit_datetime, leaf.explicit_datetime_to):
        if date is not None and parse_instant(date) is None:
            raise Invalid(f"Invalid date value: {date}.", attr=ATTR)


def _place(location: tuple[str | int, ...]) -> str:
    """`properties.values[0].operator`. After each position stands the kind of node, which is no place."""
    place, is_kind = "", False
    for part in location:
        if not is_kind:
            place += f"[{part}]" if isinstance(part, int) else f".{part}"
        is_kind = isinstance(part, int)
    return place.removeprefix(".")
