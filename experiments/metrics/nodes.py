"""Source nodes: which events a metric counts, and what it takes of each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypeAliasType

from common.property_filters import PropertyFilters, listed_form
from common.shapes import Shape

NodeMath = Literal["total", "sum", "unique_session", "min", "max", "avg", "dau", "unique_group"]
UNSUPPORTED_MATH = "hogql"


class RevenueCurrency(Shape):
    """The currency of an amount: always the same, or read from a property."""

    static: str | None = None
    property: str | None = None


class _Node(Shape):
    name: str | None = None
    custom_name: str | None = None
    properties: PropertyFilters | None = None
    fixedProperties: PropertyFilters | None = None
    math: NodeMath | None = None
    math_property: str | None = None
    math_property_type: str | None = None
    math_hogql: None = None
    math_group_type_index: Annotated[int, Field(ge=0, le=4)] | None = None
    math_multiplier: int | float | None = None
    math_property_revenue_currency: RevenueCurrency | None = None
    optionalInFunnel: bool | None = None
    version: int | float | None = None
    response: dict[str, Any] | None = None


class EventsNode(_Node):
    """Events of one name. Without a name (null or absent) every event; the empty name is nobody's."""

    kind: Literal["EventsNode"]
    event: str | None = None
    limit: int | None = None
    orderBy: Annotated[list[str], Field(fail_fast=True)] | None = None


class ActionsNode(_Node):
    """The events that an action describes."""

    kind: Literal["ActionsNode"]
    id: int


class DataWarehouseNode(_Node):
    """Rows of a table outside this service; stored, never computed."""

    kind: Literal["ExperimentDataWarehouseNode"]
    table_name: str
    timestamp_field: str
    events_join_key: str
    data_warehouse_join_key: str


# Their names are those of components in the OpenAPI document.
EventNode = TypeAliasType("EventNode", Annotated[EventsNode | ActionsNode, Field(discriminator="kind")])
SourceNode = TypeAliasType(
    "SourceNode", Annotated[EventsNode | ActionsNode | DataWarehouseNode, Field(discriminator="kind")]
)


def _implied_kind(node: Mapping[str, Any]) -> str:
    if "id" in node:
        return "ActionsNode"
    return "ExperimentDataWarehouseNode" if "table_name" in node else "EventsNode"


def with_listed_properties(node: Mapping[str, Any]) -> dict[str, Any]:
    """The node with its two lists of filters in the form they are stored in; all else as sent."""
    lists = {name: listed_form(node[name]) for name in ("properties", "fixedProperties") if name in node}
    return {**node, **lists}


def stored_form(node: Any) -> Any:
    """What is stored of a sent node; what is no object stays for the schema to refuse."""
    if not isinstance(node, dict):
        return node
    listed = with_listed_properties(node)
    return listed if "kind" in node else {"kind": _implied_kind(node), **listed}
