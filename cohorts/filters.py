"""The conditions of a dynamic cohort: a tree whose leaves are about persons, other cohorts and what persons did.

Shapes only. An empty group matches everybody; `negation` turns a leaf round.
"""

from typing import Annotated, Literal

from pydantic import Field

from common.property_filters import FilterValue, Operator, PropertyFilters
from common.shapes import Shape


class CohortGroup(Shape):
    """Conditions of which all, or any, must hold."""

    type: Literal["AND", "OR"]
    values: "list[CohortCondition]"


class _Leaf(Shape):
    negation: bool | None = None


class PersonCondition(_Leaf):
    """About a property of the person."""

    type: Literal["person"]
    key: str
    operator: Operator
    value: FilterValue = None


class PersonMetadataCondition(_Leaf):
    """About when the person was first seen."""

    type: Literal["person_metadata"]
    key: Literal["created_at"]
    operator: Operator
    value: FilterValue = None


class CohortMembershipCondition(_Leaf):
    """About being in another cohort."""

    type: Literal["cohort"]
    key: Literal["id"]
    value: int


class BehavioralCondition(_Leaf):
    """About having done something within a time, so and so often."""

    type: Literal["behavioral"]
    key: str | int
    event_type: Literal["events", "actions"]
    value: Literal["performed_event", "performed_event_multiple"]
    operator: Literal["exact", "gte", "lte"] | None = None
    operator_value: int | None = None
    time_value: int | None = None
    time_interval: Literal["day", "week", "month", "year"] | None = None
    explicit_datetime: str | None = None
    explicit_datetime_to: str | None = None
    event_filters: PropertyFilters | None = None


CohortCondition = Annotated[
    CohortGroup | PersonCondition | PersonMetadataCondition | CohortMembershipCondition | BehavioralCondition,
    Field(discriminator="type"),
]


class CohortFilters(Shape):
    """What makes a person a member."""

    properties: CohortGroup
