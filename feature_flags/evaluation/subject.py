"""For whom flags are evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.matching import Moment

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One person, the groups they act for, and the moment.

    `person` and `group_properties` (by group type name) are the stored properties overlaid by those sent along.
    `groups` holds the key of each named group by type name, never an empty one. `overrides` are the stored ids of
    flags with experience continuity, `static_cohorts` the static cohorts the person is a member of.
    """

    distinct_id: str
    moment: Moment
    person: Mapping[str, Any] = field(default_factory=dict)
    # The person's own record, such as `created_at`; empty for an unknown person.
    person_metadata: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    group_properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    device_id: str | None = None
    anonymous_id: str | None = None
    overrides: Mapping[int, str] = field(default_factory=dict)
    static_cohorts: frozenset[int] = frozenset()

    def properties_of_group(self, name: str | None) -> Mapping[str, Any]:
        """The properties of the group of this type; empty without one."""
        return _NOTHING if name is None else self.group_properties.get(name, _NOTHING)
