"""What a source node asks of the event store."""

from collections.abc import Callable

from events.store.measures import Math, Value
from events.store.plans import Selection
from experiments.metrics.nodes import ActionsNode, DataWarehouseNode, EventsNode

# Tells which events a node means; actions and filters are the project's.
Select = Callable[[EventsNode | ActionsNode], Selection]

SESSION_DURATION = "$session_duration"
_OF_A_PROPERTY = frozenset({Math.SUM, Math.MIN, Math.MAX, Math.AVG})


class NotConnected(Exception):
    """The metric reads a table outside this service."""


def value_of(node: EventsNode | ActionsNode | DataWarehouseNode, select: Select) -> Value:
    """A unit's value by the node's math. Raises NotConnected for rows of a data warehouse."""
    if isinstance(node, DataWarehouseNode):
        raise NotConnected
    math = Math(node.math or Math.TOTAL)
    return Value(
        selection=select(node),
        math=math,
        property=node.math_property if math in _OF_A_PROPERTY else None,
        of_sessions=math in _OF_A_PROPERTY and is_of_sessions(node),
        group_type_index=node.math_group_type_index or 0,
    )


def is_of_sessions(node: EventsNode | ActionsNode | DataWarehouseNode) -> bool:
    """Whether the node is about the durations of sessions, not about its rows."""
    return node.math_property == SESSION_DURATION or node.math_property_type == "session_properties"
