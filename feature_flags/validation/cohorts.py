"""Cohorts in conditions: they must exist, and be computable from a person's properties alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import Invalid
from feature_flags.validation.properties import cohort_id


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCohort:
    """What the rules must know of a live cohort. Of a static one the members are stored, its criteria don't matter."""

    name: str
    is_static: bool
    filters: Mapping[str, Any] = field(default_factory=dict)


def cohort_references(filters: Mapping[str, Any]) -> set[int]:
    """The ids of the cohorts that conditions refer to."""
    return {
        number
        for group in filters.get("groups", [])
        for condition in group.get("properties", [])
        if condition["type"] == "cohort" and (number := cohort_id(condition["value"])) is not None
    }


def leaves_of(cohort_filters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every leaf of a cohort's criteria, however deeply nested."""
    pending: list[Any] = [cohort_filters.get("properties")]
    while pending:
        node = pending.pop()
        if not isinstance(node, Mapping):
            continue
        if isinstance(node.get("values"), list):
            pending.extend(node["values"])
        elif "type" in node:
            yield node


def nested_cohorts(cohort_filters: Mapping[str, Any]) -> set[int]:
    """The ids of the cohorts that a cohort's criteria refer to."""
    return {
        number
        for leaf in leaves_of(cohort_filters)
        if leaf["type"] == "cohort" and (number := cohort_id(leaf.get("value"))) is not None
    }


def check_cohorts(references: set[int], known: Mapping[int, KnownCohort]) -> None:
    """Raise Invalid when a cohort does not exist, or needs events (itself or through one it refers to)."""
    for reference in sorted(references):
        if reference not in known:
            raise Invalid(f"Cohort with id {reference} does not exist", code="cohort_does_not_exist", attr="filters")
    pending, seen = sorted(references), set[int]()
    while pending:
        present = pending.pop(0)
        cohort = known.get(present)
        if present in seen or cohort is None or cohort.is_static:
            continue
        seen.add(present)
        for leaf in leaves_of(cohort.filters):
            if leaf["type"] == "behavioral":
                raise Invalid(
                    f"Cohort '{cohort.name}' has an event-based condition on '{leaf.get('key')}' "
                    "and cannot be used in feature flags.",
                    code="behavioral_cohort_found",
                    attr="filters",
                )
        pending.extend(sorted(nested_cohorts(cohort.filters)))
