"""Documents for these tests: metrics of every kind, and arbitrary JSON."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from common.errors import Invalid

Document = dict[str, Any]


def event(name: str = "purchase", **more: Any) -> Document:
    return {"kind": "EventsNode", "event": name, **more}


def action(action_id: Any = 7, **more: Any) -> Document:
    return {"kind": "ActionsNode", "id": action_id, **more}


def table(**more: Any) -> Document:
    return {
        "kind": "ExperimentDataWarehouseNode",
        "table_name": "orders",
        "timestamp_field": "at",
        "events_join_key": "properties.email",
        "data_warehouse_join_key": "email",
        **more,
    }


def metric(metric_type: str, **fields: Any) -> Document:
    return {"kind": "ExperimentMetric", "metric_type": metric_type, **fields}


def mean(source: Any = None, **more: Any) -> Document:
    return metric("mean", source=event() if source is None else source, **more)


def funnel(*steps: Any, **more: Any) -> Document:
    return metric("funnel", series=list(steps), **more)


def ratio(numerator: Any = None, denominator: Any = None, **more: Any) -> Document:
    return metric("ratio", numerator=numerator or event(), denominator=denominator or event("visit"), **more)


def retention(**more: Any) -> Document:
    return metric(
        "retention",
        **{
            "start_event": event("signup"),
            "completion_event": event("visit"),
            "retention_window_start": 1,
            "retention_window_end": 7,
            "retention_window_unit": "day",
            "start_handling": "first_seen",
            **more,
        },
    )


plain_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[]))
    | st.sampled_from(["ExperimentMetric", "EventsNode", "ActionsNode", "mean", "funnel", "event", "exact", "hogql"])
)
names = st.text() | st.sampled_from(
    [
        *("kind", "metric_type", "source", "series", "numerator", "properties", "id", "event", "type", "key", "value"),
        *("breakdownFilter", "breakdowns", "threshold", "uuid", "metadata", "exposure_config", "filterTestAccounts"),
    ]
)
any_json = st.recursive(plain_values, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=20)


@st.composite
def nearly(draw: st.DrawFn, whole: Any) -> Any:
    """A document with arbitrary JSON in one or several places of it, or in addition."""
    if isinstance(whole, dict):
        made = {name: draw(nearly(value)) if draw(st.integers(0, 3)) == 0 else value for name, value in whole.items()}
        return made | draw(st.dictionaries(names, any_json, max_size=1))
    if isinstance(whole, list) and whole and draw(st.booleans()):
        return [draw(nearly(element)) for element in whole]
    return draw(any_json)


def outcome(act: Callable[[], Any]) -> Any:
    """What `act` returns, or the Invalid it raises; anything else it raises fails the test."""
    try:
        return act()
    except Invalid as refusal:
        return refusal
