"""What is a metric, what is stored of it, and in which words everything else is refused."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Invalid
from experiments import metrics
from experiments.metrics.funnel import FunnelMetric
from experiments.metrics.mean import MeanMetric
from experiments.metrics.ratio import RatioMetric
from experiments.metrics.retention import RetentionMetric
from tests.experiments.documents import (
    action,
    any_json,
    event,
    funnel,
    mean,
    metric,
    nearly,
    outcome,
    ratio,
    retention,
    table,
)

EVENTS_NODE_ID = (
    " EventsNode does not accept an 'id' field. To reference an event, use {'kind': 'EventsNode', 'event': "
    "'<event_name>'} (omit 'id'). To reference an action, switch to {'kind': 'ActionsNode', 'id': "
    "<integer_action_id>} (omit 'event')."
)
NULLS = dict.fromkeys(
    (
        *("uuid", "name", "goal", "conversion_window", "conversion_window_unit", "isSharedMetric", "sharedMetricId"),
        *("breakdownFilter", "version", "response"),
    )
)
VALID = [
    mean(),
    mean(action(), goal="decrease", uuid="u", name="n", conversion_window=14, conversion_window_unit="month"),
    mean(table(math="sum", math_property="amount"), version=1, response={"any": [1]}, isSharedMetric=True),
    mean(lower_bound_percentile=0, upper_bound_percentile=0.95, ignore_zeros=True),
    mean(event(math="sum", math_property="amount"), threshold=20),
    mean(event(math="total"), threshold=0.5, ignore_zeros=True),
    mean(lower_bound_percentile=None, upper_bound_percentile=None, ignore_zeros=None, threshold=None, **NULLS),
    mean({"kind": "EventsNode", "event": None, "limit": 100, "orderBy": ["timestamp"]}),
    mean({"kind": "EventsNode"}),
    mean(event("")),
    mean(event(name="N", custom_name="C", properties=None, fixedProperties=[], math=None, math_hogql=None)),
    mean(event(math="unique_group", math_group_type_index=4, math_multiplier=0.01, optionalInFunnel=False)),
    mean(event(math_property_revenue_currency={"static": "EUR"}, math_property_type="event_properties")),
    funnel(event()),
    funnel(event(), action(), funnel_order_type="strict"),
    funnel(event(), funnel_order_type=None, **NULLS),
    ratio(),
    ratio(
        table(),
        action(),
        numerator_outlier_handling={"upper_bound_percentile": 0.5, "ignore_zeros": True},
        denominator_outlier_handling={},
    ),
    ratio(numerator_outlier_handling=None, denominator_outlier_handling=None, **NULLS),
    retention(),
    retention(start_event=action(), retention_window_start=0, retention_window_end=0, start_handling="last_seen"),
    retention(**NULLS),
    mean(breakdownFilter={}),
    mean(breakdownFilter={"breakdowns": []}),
    mean(breakdownFilter={"breakdowns": [{"property": "$browser"}] * 3, "breakdown_limit": 10}),
    mean(breakdownFilter={"breakdown": ["$os", 5], "breakdown_type": "event", "breakdown_normalize_url": True}),
    mean(
        breakdownFilter={
            "breakdowns": [
                {"property": "p", "type": "person", "group_type_index": 0, "normalize_url": False},
                {"property": "q", "type": None, "histogram_bin_count": 5},
            ]
        }
    ),
]
FILTERS: list[Any] = [
    {},
    {"key": "plan"},
    {"key": "plan", "value": "pro", "operator": "exact", "type": "event", "label": "Plan"},
    {"key": "plan", "value": [1, 2.5, True, None, "x"], "type": None, "operator": None},
    {"key": "plan", "operator": "is_set", "type": "person"},
    {"key": "$feature/a", "value": "test", "operator": "exact", "type": "feature"},
    {"key": "d", "value": 5, "operator": "min", "type": "session"},
    {"key": "text", "value": "Buy", "operator": "icontains", "type": "element"},
    {"key": "size", "value": 10, "operator": "gte", "type": "group", "group_type_index": 4},
    {"type": "cohort", "value": 3},
    {"type": "cohort", "key": "id", "value": 3, "operator": "not_in", "cohort_name": "Buyers"},
    {"type": "flag", "key": "12", "operator": "flag_evaluates_to", "value": True},
    {"type": "flag", "key": "12", "value": "test"},
    {"type": "hogql", "key": "properties.a > 1"},
    {"type": "data_warehouse_person_property", "key": "orders: total", "operator": "gt", "value": 10},
]


def refusal_of(sent: Any, attr: str = "metrics") -> str:
    with pytest.raises(Invalid) as caught:
        metrics.parse_metrics(sent, attr=attr)
    assert (caught.value.code, caught.value.attr) == ("invalid_input", attr)
    return caught.value.detail


def refusal_of_one(sent: Any) -> str:
    place = "Invalid metric at index 1: "
    detail = refusal_of([mean(), sent])
    assert detail.startswith(place)
    return detail.removeprefix(place)


@pytest.mark.parametrize("document", VALID, ids=str)
def test_parse__valid_metric__is_stored_as_sent(document: Any) -> None:
    sent = copy.deepcopy(document)
    stored = metrics.parse_metrics([sent], attr="metrics")

    assert json.dumps(stored) == json.dumps([document])
    assert sent == document


@pytest.mark.parametrize("filter", FILTERS, ids=str)
@pytest.mark.parametrize("field", ["properties", "fixedProperties"])
def test_parse__filter__is_stored_as_sent(filter: Any, field: str) -> None:
    document = mean({**event(), field: [filter]})

    assert metrics.parse_metrics([document], attr="metrics") == [document]


def test_parse__null__is_an_empty_list() -> None:
    assert metrics.parse_metrics(None, attr="metrics") == []


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"event": "a"}, "EventsNode"),
        ({}, "EventsNode"),
        ({"id": 5}, "ActionsNode"),
        ({name: value for name, value in table().items() if name != "kind"}, "ExperimentDataWarehouseNode"),
    ],
    ids=str,
)
def test_parse__node_without_kind__is_stored_with_it(sent: Any, kind: str) -> None:
    assert metrics.parse_metrics([mean(sent)], attr="metrics") == [mean({**sent, "kind": kind})]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (mean({"properties": {}}), mean({"kind": "EventsNode", "properties": []})),
        (funnel({"fixedProperties": {}}), funnel({"kind": "EventsNode", "fixedProperties": []})),
        (ratio(event(), {"properties": {}}), ratio(event(), {"kind": "EventsNode", "properties": []})),
        (
            retention(completion_event={"id": 1, "properties": {}}),
            retention(completion_event=action(1, properties=[])),
        ),
    ],
    ids=str,
)
def test_parse__empty_object_of_filters__is_an_empty_list_in_every_node(sent: Any, stored: Any) -> None:
    assert metrics.parse_metrics([sent], attr="metrics") == [stored]


@pytest.mark.parametrize("fingerprint", ["abc", None, 5, {"a": 1}])
def test_parse__sent_fingerprint__is_dropped_whatever_it_is(fingerprint: Any) -> None:
    assert metrics.parse_metrics([mean(fingerprint=fingerprint)], attr="metrics") == [mean()]


@pytest.mark.parametrize("sent", [{}, "[]", 5, True])
def test_parse__no_list__is_refused(sent: Any) -> None:
    assert refusal_of(sent, "metrics_secondary") == "Metrics must be a list"


@pytest.mark.parametrize("sent", [None, [], "x", 5])
def test_parse__element_no_object__is_refused(sent: Any) -> None:
    assert refusal_of_one(sent) == "must be a dict"


@pytest.mark.parametrize("kind", ["ExperimentTrendsQuery", "ExperimentFunnelsQuery"])
def test_parse__legacy_kind__is_refused_by_name(kind: str) -> None:
    assert refusal_of_one({"kind": kind}) == (
        f"legacy metric kind '{kind}' is no longer supported for new experiments. Use 'ExperimentMetric' instead."
    )


@pytest.mark.parametrize("sent", [{}, {"kind": None}, {"kind": "EventsNode"}, {"kind": []}, {"kind": {}}], ids=str)
def test_parse__other_kind__is_refused(sent: Any) -> None:
    assert refusal_of_one(sent) == "metric kind must be 'ExperimentMetric'"


RULES = [
    (
        funnel(),
        "funnel metrics require at least one step. The experiment exposure event is added as the initial step "
        "automatically.",
    ),
    *(
        (mean(event(math=math), threshold=5), "a threshold is only supported for sum or count (total) math types.")
        for math in ("unique_session", "min", "max", "avg", "dau", "unique_group")
    ),
    (mean(threshold=0), "threshold must be a positive number."),
    (mean(threshold=-0.5), "threshold must be a positive number."),
    (
        mean(threshold=5, lower_bound_percentile=0.1),
        "a threshold cannot be combined with outlier handling (winsorization).",
    ),
    (
        mean(threshold=5, upper_bound_percentile=0),
        "a threshold cannot be combined with outlier handling (winsorization).",
    ),
    *(
        (
            holder,
            "math 'hogql' is not supported. Use total, sum, unique_session, min, max, avg, dau or unique_group.",
        )
        for holder in (
            mean(event(math="hogql")),
            mean(event(math="hogql"), threshold=5),
            funnel(event(), action(math="hogql")),
            ratio(event(), table(math="hogql")),
            retention(start_event=event(math="hogql")),
        )
    ),
    (
        mean(breakdownFilter={"breakdowns": [{"property": "p"}] * 4}),
        "Maximum of 3 breakdowns are supported for experiment metrics",
    ),
]


@pytest.mark.parametrize(("sent", "text"), RULES, ids=str)
def test_parse__rule_broken__is_refused_in_its_words(sent: Any, text: str) -> None:
    assert refusal_of_one(sent) == text


# Each with the field that the text must name.
SCHEMA = [
    (metric("mean"), "source"),
    ({"kind": "ExperimentMetric"}, "metric_type"),
    (metric("trend"), "metric_type"),
    ({**mean(), "metric_type": None}, "metric_type"),
    ({**mean(), "metric_type": ["mean"]}, "metric_type"),
    (mean(colour="red"), "colour"),
    (mean(series=[]), "series"),
    (mean(uuid=5), "uuid"),
    (mean(uuid=["a"]), "uuid"),
    (mean(name={}), "name"),
    (mean(goal="up"), "goal"),
    (mean(conversion_window=-1), "conversion_window"),
    (mean(conversion_window="14"), "conversion_window"),
    (mean(conversion_window=14.5), "conversion_window"),
    (mean(conversion_window=True), "conversion_window"),
    (mean(conversion_window_unit="year"), "conversion_window_unit"),
    (mean(isSharedMetric="true"), "isSharedMetric"),
    (mean(sharedMetricId="5"), "sharedMetricId"),
    (mean(response=[]), "response"),
    (mean(lower_bound_percentile=-0.1), "lower_bound_percentile"),
    (mean(upper_bound_percentile=1.1), "upper_bound_percentile"),
    (mean(threshold="5"), "threshold"),
    (mean(threshold=True), "threshold"),
    (mean([]), "source"),
    (mean("EventsNode"), "source"),
    (mean({"kind": "Node"}), "kind"),
    (mean({"kind": None}), "kind"),
    (mean(action("7")), "id"),
    (mean(action(True)), "id"),
    (mean(action(None)), "id"),
    (mean(action(7, event="purchase")), "event"),
    (mean({"kind": "ActionsNode"}), "id"),
    (mean({"table_name": "orders"}), "timestamp_field"),
    (mean(event(event_name="x")), "event_name"),
    (mean(event(math="median")), "math"),
    (mean(event(math_hogql="count()")), "math_hogql"),
    (mean(event(math_group_type_index=5)), "math_group_type_index"),
    (mean(event(properties={"type": "AND", "values": []})), "properties"),
    (mean(event(fixedProperties="x")), "fixedProperties"),
    (mean(event(properties=[{"key": "a", "colour": 1}])), "colour"),
    (mean(event(properties=[{"value": "a"}])), "key"),
    (mean(event(properties=[{"key": "a", "type": "planet"}])), "type"),
    (mean(event(properties=[{"key": "a", "type": ["event"]}])), "type"),
    (mean(event(properties=[None])), "properties"),
    (mean(event(properties=[{}] * 1001)), "properties"),
    (mean(event(properties=[{"key": "a", "value": {"b": 1}}])), "value"),
    (mean(event(properties=[{"key": "a", "value": [[1]]}])), "value"),
    (mean(event(properties=[{"key": "a", "operator": "like"}])), "operator"),
    (mean(event(properties=[{"key": "a", "type": "person", "value": 1}])), "operator"),
    (mean(event(properties=[{"key": "a", "type": "person", "operator": None}])), "operator"),
    (mean(event(properties=[{"key": "class", "type": "element", "operator": "exact"}])), "key"),
    (mean(event(properties=[{"key": "a", "type": "group", "operator": "exact", "group_type_index": 5}])), "group_type"),
    (mean(event(properties=[{"type": "cohort"}])), "value"),
    (mean(event(properties=[{"type": "cohort", "value": "3"}])), "value"),
    (mean(event(properties=[{"type": "cohort", "value": 3, "key": "name"}])), "key"),
    (mean(event(properties=[{"type": "flag", "key": "1", "value": True, "operator": "exact"}])), "operator"),
    (mean(event(properties=[{"type": "flag", "key": "1", "value": 5}])), "value"),
    (mean(event(properties=[{"type": "hogql", "key": "1", "operator": "exact"}])), "operator"),
    (metric("funnel"), "series"),
    (funnel(event(), funnel_order_type="loose"), "funnel_order_type"),
    (metric("funnel", series=None), "series"),
    (metric("funnel", series={}), "series"),
    (funnel(table()), "kind"),
    (funnel(*[event()] * 101), "series"),
    (ratio(numerator_outlier_handling={"threshold": 5}), "threshold"),
    (ratio(denominator_outlier_handling=[]), "denominator_outlier_handling"),
    (metric("ratio", numerator=event()), "denominator"),
    (retention(start_event=table()), "start_event"),
    (retention(retention_window_start=8), "retention_window_start"),
    (retention(retention_window_end=-1), "retention_window_end"),
    (retention(retention_window_unit=None), "retention_window_unit"),
    (retention(start_handling="random"), "start_handling"),
    (mean(breakdownFilter=[]), "breakdownFilter"),
    (mean(breakdownFilter={"limit": 5}), "limit"),
    (mean(breakdownFilter={"breakdown_limit": 0}), "breakdown_limit"),
    (mean(breakdownFilter={"breakdowns": [{}]}), "property"),
    (mean(breakdownFilter={"breakdowns": "$browser"}), "breakdowns"),
    (mean(breakdownFilter={"breakdowns": [{"property": "p", "bins": 4}]}), "bins"),
]


@pytest.mark.parametrize(("sent", "field"), SCHEMA, ids=str)
def test_parse__malformed__is_refused_naming_the_field(sent: Any, field: str) -> None:
    text = refusal_of_one(sent)

    assert text.startswith("[{'loc': (")
    assert text.endswith("}].")
    assert field in text


@pytest.mark.parametrize("holder", [mean, funnel, lambda node: ratio(event(), node)])
def test_parse__id_on_an_events_node__is_refused_with_advice(holder: Any) -> None:
    text = refusal_of_one(holder({"kind": "EventsNode", "event": "a", "id": 5}))

    assert text.startswith("[{'loc': (")
    assert text.endswith(f"'type': 'extra_forbidden', 'msg': 'Extra inputs are not permitted'}}].{EVENTS_NODE_ID}")


@pytest.mark.parametrize(
    "sent",
    [
        mean({"kind": "secret"}),
        mean(event(math="secret")),
        mean(action("secret")),
        mean(event(properties=[{"key": "a", "type": "secret"}])),
        mean(event(properties=[{"key": "a", "value": {"secret": "secret"}}])),
        mean(event(properties=[{"key": "a", "operator": "secret"}])),
        {**mean(), "metric_type": "secret"},
        retention(start_handling="secret"),
    ],
    ids=str,
)
def test_parse__malformed__does_not_repeat_the_sent_value(sent: Any) -> None:
    assert "secret" not in refusal_of_one(sent)


def test_parse__more_than_fifteen_mistakes__counts_the_rest() -> None:
    text = refusal_of_one(funnel(*[action("x")] * 40))

    assert text.count("'loc'") == 15
    assert text.endswith("{'truncated': '...25 more'}].")


def test_parse__fifteen_mistakes__are_all_told() -> None:
    text = refusal_of_one(funnel(*[action("x")] * 15))

    assert text.count("'loc'") == 15
    assert "truncated" not in text


def test_parse__unknown_field_of_a_huge_name__is_cut() -> None:
    assert len(refusal_of_one(mean(**{"x" * 10_000: 1}))) < 300


def test_parse__a_thousand_fields__are_told_in_one_mistake() -> None:
    text = refusal_of_one(mean(**{f"field{number}": 1 for number in range(1000)}))

    assert text == ("[{'loc': (), 'type': 'too_many_fields', 'msg': 'Input should have no more than 1000 fields'}].")


def test_parse__two_bad_metrics__tells_of_the_first() -> None:
    assert refusal_of([funnel(), 5]).startswith("Invalid metric at index 0: funnel metrics require")


def saved_refusal(sent: Any) -> str:
    with pytest.raises(Invalid) as caught:
        metrics.parse_saved_query(sent)
    assert (caught.value.code, caught.value.attr) == ("invalid_input", "query")
    return caught.value.detail


def test_saved_query__valid__is_stored_like_a_metric_of_a_list() -> None:
    sent = mean({"event": "a", "properties": {}}, fingerprint="x")

    assert metrics.parse_saved_query(sent) == mean({"kind": "EventsNode", "event": "a", "properties": []})


NO_QUERY: list[Any] = [None, {}, [], ""]
ONLY_KINDS = "Invalid metric: ExperimentMetric metric_type must be 'mean', 'funnel', 'ratio', or 'retention'"


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        *((empty, "Query is required to create a saved metric") for empty in NO_QUERY),
        *((other, "query must be an object") for other in ([mean()], "mean", 5, True, False, 0)),
        ({"metric_type": "mean"}, "Invalid metric: metric kind must be 'ExperimentMetric'"),
        ({"kind": ["x"]}, "Invalid metric: metric kind must be 'ExperimentMetric'"),
        (
            {"kind": "ExperimentTrendsQuery"},
            "Invalid metric: legacy metric kind 'ExperimentTrendsQuery' is no longer supported. "
            "Use 'ExperimentMetric' instead.",
        ),
        ({"kind": "ExperimentMetric"}, "Invalid metric: ExperimentMetric requires a metric_type"),
        (metric("trend"), ONLY_KINDS),
        ({**mean(), "metric_type": {}}, ONLY_KINDS),
        *((sent, f"Invalid metric: {text}") for sent, text in RULES),
    ],
    ids=str,
)
def test_saved_query__rule_broken__is_refused_in_its_words(sent: Any, text: str) -> None:
    assert saved_refusal(sent) == text


@pytest.mark.parametrize(("sent", "field"), [case for case in SCHEMA if case[1] != "metric_type"], ids=str)
def test_saved_query__malformed__is_refused_naming_the_field(sent: Any, field: str) -> None:
    text = saved_refusal(sent)

    assert text.startswith("Invalid metric: [{'loc': (")
    assert field in text


@pytest.mark.parametrize("sent", [[], [{"kind": "Anything"}, 5, None], [{}]], ids=str)
def test_refuse_legacy__other_elements__are_kept(sent: Any) -> None:
    assert metrics.refuse_legacy(sent) == sent


def test_refuse_legacy__null__is_an_empty_list() -> None:
    assert metrics.refuse_legacy(None) == []


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "secondary_metrics must be a list"),
        ("x", "secondary_metrics must be a list"),
        (
            [{}, {"kind": "ExperimentFunnelsQuery"}],
            "Invalid metric at index 1: legacy metric kind 'ExperimentFunnelsQuery' is no longer supported for new "
            "experiments. Use 'ExperimentMetric' instead.",
        ),
    ],
    ids=str,
)
def test_refuse_legacy__no_list_or_a_legacy_kind__is_refused(sent: Any, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        metrics.refuse_legacy(sent)

    assert (caught.value.detail, caught.value.attr) == (text, "secondary_metrics")


@pytest.mark.parametrize(
    ("document", "shape"),
    [(mean(), MeanMetric), (funnel(event()), FunnelMetric), (ratio(), RatioMetric), (retention(), RetentionMetric)],
)
def test_read__stored_metric__has_the_shape_of_its_kind(document: Any, shape: type) -> None:
    assert type(metrics.read({**document, "fingerprint": "abc"})) is shape


def test_read__null_fields__mean_the_same_as_absent_ones() -> None:
    assert metrics.read(mean(**NULLS)) == metrics.read(mean())


WITH_ACTIONS = [
    mean(action(1)),
    funnel(event(), action(2), action(3)),
    ratio(action(4), event("visit")),
    retention(start_event=event("signup"), completion_event=action(5)),
    mean(event("purchase"), response={"kind": "ActionsNode", "id": 99}),
    mean({"kind": "EventsNode", "event": None}),
    mean(table()),
]


def test_action_ids__metrics_of_every_kind__are_those_of_their_nodes_alone() -> None:
    assert metrics.action_ids(WITH_ACTIONS) == {1, 2, 3, 4, 5}


def test_event_names__metrics_of_every_kind__leave_out_actions_and_every_event() -> None:
    assert metrics.event_names(WITH_ACTIONS) == {"purchase", "visit", "signup"}


def test_with_action_names__known_action__gets_its_present_name() -> None:
    named = metrics.with_action_names(
        funnel(action(1, name="old"), action(2, name="kept"), event(name="same"), action(3)), {1: "new", 3: "third"}
    )

    assert named == funnel(action(1, name="new"), action(2, name="kept"), event(name="same"), action(3, name="third"))


def test_with_action_names__named__leaves_the_stored_metric_alone() -> None:
    stored = ratio(action(1, name="old"), action(1))
    before = copy.deepcopy(stored)

    assert metrics.with_action_names(stored, {1: "new"}) == ratio(action(1, name="new"), action(1, name="new"))
    assert stored == before


@pytest.mark.parametrize(
    ("sent", "stored", "same"),
    [
        (mean(action(1, name="new")), mean(action(1, name="old"), fingerprint="f"), True),
        (mean(action(1, name="new")), mean(action(1)), True),
        (mean(action(1)), mean(action(1)), True),
        (funnel(event(name="a")), funnel(event(name="b")), False),
        (mean(action(1, name="a"), name="x"), mean(action(1, name="a"), name="y"), False),
        (mean(action(1)), mean(action(2)), False),
        (mean(action(1), goal=None), mean(action(1)), False),
        (mean(action(1), threshold=1), mean(action(1), threshold=1.0), False),
        (mean(action(1)), retention(), False),
    ],
    ids=str,
)
def test_differs_only_in_action_names__tells(sent: Any, stored: Any, same: bool) -> None:
    assert metrics.differs_only_in_action_names(sent, stored) is same


@settings(deadline=None)
@given(sent=any_json | st.sampled_from(VALID).flatmap(lambda document: nearly([document])))
def test_parse__any_json__is_stored_or_refused_by_name(sent: Any) -> None:
    stored = outcome(lambda: metrics.parse_metrics(sent, attr="metrics"))
    if isinstance(stored, Invalid):
        assert stored.attr == "metrics"
        return
    assert metrics.parse_metrics(stored, attr="metrics") == stored
    for document in stored:
        assert metrics.read(document).kind == "ExperimentMetric"


@settings(deadline=None)
@given(sent=any_json | st.sampled_from(VALID).flatmap(nearly))
def test_saved_query__any_json__is_stored_or_refused_by_name(sent: Any) -> None:
    stored = outcome(lambda: metrics.parse_saved_query(sent))
    if isinstance(stored, Invalid):
        assert stored.attr == "query"
        return
    assert metrics.parse_metrics([stored], attr="metrics") == [stored]


@settings(deadline=None)
@given(sent=any_json)
def test_refuse_legacy__any_json__is_kept_or_refused_by_name(sent: Any) -> None:
    kept = outcome(lambda: metrics.refuse_legacy(sent))

    assert kept.attr == "secondary_metrics" if isinstance(kept, Invalid) else kept == (sent or [])
