"""Property filters: the conditions that metrics, exposure criteria, actions and searches put on events.

Shapes only; `common.matching` says what an operator means. A filter without `type` is about the event itself.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from common.shapes import Shape

Operator = Literal[
    "exact",
    "is_not",
    "icontains",
    "not_icontains",
    "icontains_multi",
    "not_icontains_multi",
    "starts_with",
    "not_starts_with",
    "ends_with",
    "not_ends_with",
    "regex",
    "not_regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "min",
    "max",
    "between",
    "not_between",
    "in",
    "not_in",
    "is_set",
    "is_not_set",
    "is_date_exact",
    "is_date_before",
    "is_date_after",
    "semver_eq",
    "semver_neq",
    "semver_gt",
    "semver_gte",
    "semver_lt",
    "semver_lte",
    "semver_tilde",
    "semver_caret",
    "semver_wildcard",
    "is_cleaned_path_exact",
    "flag_evaluates_to",
]


def _plain_or_list(value: Any) -> Any:
    """One message for the whole union, where pydantic would list one for each of its members."""
    members = value if isinstance(value, list) else [value]
    if all(member is None or isinstance(member, str | int | float) for member in members):
        return value
    raise PydanticCustomError("filter_value", "Input should be a string, number, boolean, null or a list of these")


FilterValue = TypeAliasType(
    "FilterValue",
    Annotated[str | int | float | bool | list[str | int | float | bool | None] | None, BeforeValidator(_plain_or_list)],
)


class _Filter(Shape):
    label: str | None = None


class EmptyFilter(Shape):
    """`{}`, which every event satisfies."""


class EventFilter(_Filter):
    """About a property of the event."""

    type: Literal["event"] | None = "event"
    key: str
    operator: Operator | None = "exact"
    value: FilterValue = None


class PlainFilter(_Filter):
    """About a named property of something the event belongs to."""

    type: Literal["person", "session", "feature", "event_metadata", "data_warehouse", "data_warehouse_person_property"]
    key: str
    operator: Operator
    value: FilterValue = None


class ElementFilter(_Filter):
    """About the page element that was interacted with."""

    type: Literal["element"]
    key: Literal["tag_name", "text", "href", "selector"]
    operator: Operator
    value: FilterValue = None


class GroupFilter(_Filter):
    """About a property of one of the event's groups."""

    type: Literal["group"]
    key: str
    operator: Operator
    value: FilterValue = None
    group_type_index: Annotated[int, Field(ge=0, le=4)] | None = None


class CohortFilter(_Filter):
    """About the person's membership in a cohort."""

    type: Literal["cohort"]
    key: Literal["id"] = "id"
    operator: Operator | None = "in"
    value: int
    cohort_name: str | None = None


class FlagFilter(_Filter):
    """About what a feature flag, named by its id, evaluates to."""

    type: Literal["flag"]
    key: str
    operator: Literal["flag_evaluates_to"] = "flag_evaluates_to"
    value: bool | str


class HogQLFilter(_Filter):
    """An expression of a query language; stored, never computed."""

    type: Literal["hogql"]
    key: str
    value: FilterValue = None


_PLAIN = ("person", "session", "feature", "event_metadata", "data_warehouse", "data_warehouse_person_property")
_TAGS = {name: name for name in ("event", "element", "group", "cohort", "flag", "hogql")} | dict.fromkeys(
    _PLAIN, "plain"
)


def _tag(value: Any) -> str | None:
    """Which shape a filter has; asked about documents and about shapes already made."""
    if isinstance(value, Shape):
        value = value.model_dump()
    if not isinstance(value, dict):
        return None
    if not value:
        return "empty"
    named = value.get("type")
    if named is None:
        return "event"
    return _TAGS.get(named) if isinstance(named, str) else None


PropertyFilter = TypeAliasType(
    "PropertyFilter",
    Annotated[
        Annotated[EmptyFilter, Tag("empty")]
        | Annotated[EventFilter, Tag("event")]
        | Annotated[PlainFilter, Tag("plain")]
        | Annotated[ElementFilter, Tag("element")]
        | Annotated[GroupFilter, Tag("group")]
        | Annotated[CohortFilter, Tag("cohort")]
        | Annotated[FlagFilter, Tag("flag")]
        | Annotated[HogQLFilter, Tag("hogql")],
        Discriminator(
            _tag,
            custom_error_type="filter_type",
            custom_error_message="Input should be an object, its 'type' absent or one of "
            + ", ".join(map(repr, _TAGS)),
        ),
    ],
)

# Bounds the work of matching one event.
MAX_FILTERS = 1000

# Told of the first bad filter only: a request of many megabytes may hold millions of them.
PropertyFilters = Annotated[list[PropertyFilter], Field(fail_fast=True, max_length=MAX_FILTERS)]


def listed_form(filters: Any) -> Any:
    """The one leniency about lists of filters: clients that have none may say so with an empty object."""
    return [] if filters == {} else filters


COMPUTED_TYPES = frozenset({"event", "feature", "person", "group", "cohort"})
_COHORT_OPERATORS = frozenset({"in", "exact", "not_in"})
_OPERATORS_NOT_COMPUTED = frozenset({"is_cleaned_path_exact", "flag_evaluates_to"})


def why_not_computed(one: Any) -> str | None:
    """Why no event can be asked about a filter of a valid shape, in words for the caller; None when they can.

    Whether the cohort of a cohort filter exists is not asked here.
    """
    if isinstance(one, EmptyFilter):
        return None
    kind = one.type or "event"
    if kind not in COMPUTED_TYPES:
        return f"Property filters of type '{kind}' cannot be computed."
    operator = one.operator
    if operator in _OPERATORS_NOT_COMPUTED or (
        isinstance(one, CohortFilter) and operator is not None and operator not in _COHORT_OPERATORS
    ):
        return f"Operator '{operator}' cannot be computed."
    return None
