"""Metrics: what an experiment measures. This is the list of their kinds; one file each says what a kind is.

Documents are stored as they were sent, so these functions take and return plain documents; `read` gives a stored
one its typed form. To add a kind: write its file and name it in `Metric`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from common.errors import Invalid
from common.shapes import Problem, listed, problems
from experiments.metrics.base import ExperimentMetric
from experiments.metrics.funnel import FunnelMetric
from experiments.metrics.mean import MeanMetric
from experiments.metrics.nodes import UNSUPPORTED_MATH, NodeMath, stored_form
from experiments.metrics.ratio import RatioMetric
from experiments.metrics.retention import RetentionMetric

Metric = Annotated[MeanMetric | FunnelMetric | RatioMetric | RetentionMetric, Field(discriminator="metric_type")]

_KINDS: Mapping[str, type[ExperimentMetric]] = {
    "mean": MeanMetric,
    "funnel": FunnelMetric,
    "ratio": RatioMetric,
    "retention": RetentionMetric,
}
_METRIC: TypeAdapter[Metric] = TypeAdapter(Metric)

KIND = "ExperimentMetric"
_LEGACY_KINDS = ("ExperimentTrendsQuery", "ExperimentFunnelsQuery")
_EVENTS_NODE_ID = (
    " EventsNode does not accept an 'id' field. To reference an event, use {'kind': 'EventsNode', 'event': "
    "'<event_name>'} (omit 'id'). To reference an action, switch to {'kind': 'ActionsNode', 'id': "
    "<integer_action_id>} (omit 'event')."
)


def parse_metrics(value: Any, *, attr: str) -> list[dict[str, Any]]:
    """The metrics of a list in the form they are stored in; null is an empty list.

    They stay as sent, in the order of keys, the form of numbers and what is null or left out, except: a node gets
    its `kind`, an empty object of filters becomes an empty list, and a fingerprint is dropped. Raises Invalid at
    `attr` for the first metric that is none.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid("Metrics must be a list", attr=attr)
    return [_listed_metric(sent, index, attr) for index, sent in enumerate(value)]


def refuse_legacy(value: Any) -> list[Any]:
    """The elements of the former `secondary_metrics`, kept but never computed; null is an empty list.

    Raises Invalid when it is no list or holds a metric of a kind that is gone.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid("secondary_metrics must be a list", attr="secondary_metrics")
    for index, sent in enumerate(value):
        if isinstance(sent, dict):
            _refuse_legacy_kind(sent, place=f"Invalid metric at index {index}", attr="secondary_metrics")
    return value


def parse_saved_query(value: Any) -> dict[str, Any]:
    """The query of a saved metric in the form it is stored in, as `parse_metrics` does it for a list."""
    if value is None or value in ({}, [], ""):
        raise Invalid("Query is required to create a saved metric", attr="query")
    if not isinstance(value, dict):
        raise Invalid("query must be an object", attr="query")
    return parse_metric(value, attr="query")


def parse_metric(sent: Mapping[str, Any], *, attr: str | None) -> dict[str, Any]:
    """One metric that stands alone, as `parse_metrics` does it for a list. Raises Invalid at `attr`."""
    reason = _reason_against_single(sent)
    stored = _stored_form(sent)
    if reason is None:
        reason = _reason_against(stored)
    if reason is not None:
        raise Invalid(f"Invalid metric: {reason}", attr=attr)
    return stored


def parse_question(value: Any) -> dict[str, Any]:
    """A metric that is asked about without being stored, as `parse_metrics` does it for a list. Raises Invalid."""
    return _judged(value, place="Invalid metric", attr=None)


def read(stored: Mapping[str, Any]) -> Metric:
    """The typed form of a document that one of the functions above returned, whether or not it has a fingerprint."""
    return _METRIC.validate_python(stored)


def action_ids(metrics: Iterable[Mapping[str, Any]]) -> set[int]:
    """The actions that stored metrics refer to."""
    return {node["id"] for metric in metrics for node in _nodes(metric) if node["kind"] == "ActionsNode"}


def event_names(metrics: Iterable[Mapping[str, Any]]) -> set[str]:
    """The events that stored metrics name themselves, not those of their actions."""
    named = (node.get("event") for metric in metrics for node in _nodes(metric) if node["kind"] == "EventsNode")
    return {name for name in named if name is not None}


def with_action_names(metric: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """A stored metric whose ActionsNodes bear the names in `names`, by action id; other actions keep theirs."""

    def named(node: dict[str, Any]) -> dict[str, Any]:
        known = node["kind"] == "ActionsNode" and node["id"] in names
        return {**node, "name": names[node["id"]]} if known else node

    return _map_nodes(metric, named)


def differs_only_in_action_names(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether two metrics are one, whatever names their ActionsNodes bear. Fingerprints are not compared.

    Such a metric was read, with the present names of its actions, and sent back.
    """
    return _without_action_names(sent) == _without_action_names(stored)


def _without_action_names(metric: Mapping[str, Any]) -> str:
    """As text, in which 1, 1.0 and true differ as they do on the wire."""

    def nameless(node: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in node.items() if name != "name" or node["kind"] != "ActionsNode"}

    bare = {name: value for name, value in metric.items() if name != "fingerprint"}
    return json.dumps(_map_nodes(bare, nameless), sort_keys=True)


def _listed_metric(sent: Any, index: int, attr: str) -> dict[str, Any]:
    return _judged(sent, place=f"Invalid metric at index {index}", attr=attr)


def _judged(sent: Any, *, place: str, attr: str | None) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise Invalid(f"{place}: must be a dict", attr=attr)
    _refuse_legacy_kind(sent, place=place, attr=attr)
    if sent.get("kind") != KIND:
        raise Invalid(f"{place}: metric kind must be '{KIND}'", attr=attr)
    stored = _stored_form(sent)
    reason = _reason_against(stored)
    if reason is not None:
        raise Invalid(f"{place}: {reason}", attr=attr)
    return stored


def _refuse_legacy_kind(sent: Mapping[str, Any], *, place: str, attr: str | None) -> None:
    if sent.get("kind") in _LEGACY_KINDS:
        raise Invalid(
            f"{place}: legacy metric kind '{sent['kind']}' is no longer supported for new "
            f"experiments. Use '{KIND}' instead.",
            attr=attr,
        )


def _reason_against_single(sent: Mapping[str, Any]) -> str | None:
    """What metrics outside a list are refused for in words of their own."""
    if sent.get("kind") in _LEGACY_KINDS:
        return f"legacy metric kind '{sent['kind']}' is no longer supported. Use '{KIND}' instead."
    if sent.get("kind") != KIND:
        return f"metric kind must be '{KIND}'"
    if sent.get("metric_type") is None:
        return f"{KIND} requires a metric_type"
    if _kind_of(sent) is None:
        return f"{KIND} metric_type must be 'mean', 'funnel', 'ratio', or 'retention'"
    return None


def _reason_against(stored: Mapping[str, Any]) -> str | None:
    kind = _kind_of(stored)
    if kind is None:
        return f"{listed([_metric_type_problem(stored)])}."
    unsupported = any(isinstance(node, dict) and node.get("math") == UNSUPPORTED_MATH for node in _nodes(stored))
    try:
        metric = kind.model_validate(_map_nodes(stored, _without_unsupported_math))
    except ValidationError as error:
        found = problems(error)
        confused = any(problem["loc"][-2:] == ("EventsNode", "id") for problem in found)
        return f"{listed(found)}.{_EVENTS_NODE_ID if confused else ''}"
    if unsupported:
        *others, last = get_args(NodeMath)
        return f"math '{UNSUPPORTED_MATH}' is not supported. Use {', '.join(others)} or {last}."
    return metric.refusal()


def _metric_type_problem(stored: Mapping[str, Any]) -> Problem:
    if "metric_type" not in stored:
        return {"loc": ("metric_type",), "type": "missing", "msg": "Field required"}
    expected = ", ".join(f"'{name}'" for name in _KINDS)
    return {"loc": ("metric_type",), "type": "literal_error", "msg": f"Input should be one of {expected}"}


def _without_unsupported_math(node: Any) -> Any:
    """A node whose math is refused by name, not as one of the mistakes of the schema."""
    if isinstance(node, dict) and node.get("math") == UNSUPPORTED_MATH:
        return {name: value for name, value in node.items() if name != "math"}
    return node


def _stored_form(sent: Mapping[str, Any]) -> dict[str, Any]:
    return _map_nodes({name: value for name, value in sent.items() if name != "fingerprint"}, stored_form)


def _kind_of(metric: Mapping[str, Any]) -> type[ExperimentMetric] | None:
    named = metric.get("metric_type")
    return _KINDS.get(named) if isinstance(named, str) else None


def _nodes(metric: Mapping[str, Any]) -> Iterator[Any]:
    """The source nodes in the order of their fields; of a metric not yet validated whatever stands in their place."""
    kind = _kind_of(metric)
    for name in kind.node_fields if kind else ():
        held = metric.get(name)
        if isinstance(held, list):
            yield from held
        elif held is not None:
            yield held


def _map_nodes(metric: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """The metric with every node, or what stands in its place, changed; nothing else and no order of keys is."""
    kind = _kind_of(metric)
    changed = {
        name: [change(node) for node in metric[name]] if isinstance(metric[name], list) else change(metric[name])
        for name in (kind.node_fields if kind else ())
        if name in metric
    }
    return {**metric, **changed}
