"""`metrics` and `metrics_secondary` over REST: what is refused, stored and shown."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from events.models import Action
from experiments.models import Experiment, ExperimentSavedMetric
from projects.models import Project
from tests.experiments.conftest import ENDED, STARTED, Experiments, everything
from tests.experiments.documents import action as action_node
from tests.experiments.documents import event, funnel, mean, metric, ratio, retention, table

LISTS = ["metrics", "metrics_secondary"]
MakeAction = Callable[..., Action]


def bare(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics without what the server gave them."""
    return [{key: value for key, value in one.items() if key not in ("uuid", "fingerprint")} for one in shown]


def missing_action(*ids: int) -> str:
    return (
        f"Action(s) with ID {', '.join(map(str, ids))} not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project."
    )


# What is refused


@pytest.mark.parametrize("field", LISTS)
@pytest.mark.parametrize("state", ["new", "running"])
@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({}, "Metrics must be a list"),
        ("x", "Metrics must be a list"),
        ([mean(), 5], "Invalid metric at index 1: must be a dict"),
        (
            [{"kind": "ExperimentTrendsQuery"}],
            "Invalid metric at index 0: legacy metric kind 'ExperimentTrendsQuery' is no longer supported for new "
            "experiments. Use 'ExperimentMetric' instead.",
        ),
        (
            [mean(), {"kind": "ExperimentFunnelsQuery"}],
            "Invalid metric at index 1: legacy metric kind 'ExperimentFunnelsQuery' is no longer supported for new "
            "experiments. Use 'ExperimentMetric' instead.",
        ),
        ([{}], "Invalid metric at index 0: metric kind must be 'ExperimentMetric'"),
        ([{"kind": ["x"]}], "Invalid metric at index 0: metric kind must be 'ExperimentMetric'"),
        (
            [funnel()],
            "Invalid metric at index 0: funnel metrics require at least one step. "
            "The experiment exposure event is added as the initial step automatically.",
        ),
        (
            [mean(event(math="avg"), threshold=5)],
            "Invalid metric at index 0: a threshold is only supported for sum or count (total) math types.",
        ),
        ([mean(threshold=0)], "Invalid metric at index 0: threshold must be a positive number."),
        (
            [mean(threshold=5, upper_bound_percentile=0.9)],
            "Invalid metric at index 0: a threshold cannot be combined with outlier handling (winsorization).",
        ),
        (
            [mean(event(math="hogql"))],
            "Invalid metric at index 0: math 'hogql' is not supported. "
            "Use total, sum, unique_session, min, max, avg, dau or unique_group.",
        ),
        (
            [mean(breakdownFilter={"breakdowns": [{"property": name} for name in "abcd"]})],
            "Invalid metric at index 0: Maximum of 3 breakdowns are supported for experiment metrics",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_metric__is_refused_at_its_list(
    experiments: Experiments, field: str, state: str, sent: Any, detail: str
) -> None:
    made = experiments.running() if state == "running" else {}
    before = everything()
    answer = experiments.patch(made["id"], {field: sent}) if made else experiments.try_new(**{field: sent})

    experiments.refused(answer, detail, attr=field)
    assert everything() == before


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        (metric("mean"), ["source"]),
        (metric("retention"), ["start_event", "completion_event", "retention_window_start"]),
        (mean(own=1), ["own"]),
        (mean(event(own=1)), ["source", "own"]),
        (mean(event(properties=[{"key": 5}])), ["properties", "key"]),
        (mean(event(properties={"a": 1})), ["properties"]),
        (mean(lower_bound_percentile=2), ["lower_bound_percentile"]),
        (mean(goal="more"), ["goal"]),
        (mean(conversion_window=1.5), ["conversion_window"]),
        (ratio(table(table_name=None)), ["numerator", "table_name"]),
        (funnel(table()), ["series"]),
        (mean(uuid=5), ["uuid"]),
        (retention(retention_window_start=8), ["retention_window"]),
        (metric("sum"), ["metric_type"]),
        ({"kind": "ExperimentMetric"}, ["metric_type"]),
        ({"kind": "ExperimentMetric", "metric_type": ["mean"]}, ["metric_type"]),
    ],
    ids=lambda value: str(value)[:70],
)
def test_metric_against_the_schema__is_refused_naming_the_fields(
    experiments: Experiments, sent: dict[str, Any], fields: list[str]
) -> None:
    answer = experiments.try_new(metrics=[mean(), sent])

    assert answer.status_code == 400
    told = answer.json()
    assert (told["type"], told["code"], told["attr"]) == ("validation_error", "invalid_input", "metrics")
    assert told["detail"].startswith("Invalid metric at index 1: ")
    assert all(name in told["detail"] for name in fields)


def test_id_on_an_events_node__is_explained(experiments: Experiments) -> None:
    told = experiments.try_new(metrics=[mean(event(id=5))]).json()["detail"]

    assert told.endswith(
        " EventsNode does not accept an 'id' field. To reference an event, use {'kind': 'EventsNode', 'event': "
        "'<event_name>'} (omit 'id'). To reference an action, switch to {'kind': 'ActionsNode', 'id': "
        "<integer_action_id>} (omit 'event')."
    )


def test_many_errors__fifteen_are_listed(experiments: Experiments) -> None:
    told = experiments.try_new(metrics=[mean(**{f"own_{n}": 1 for n in range(20)})]).json()["detail"]

    assert told.count("'loc'") == 15
    assert "{'truncated': '...5 more'}" in told


def test_legacy_secondary_metrics__are_refused(experiments: Experiments) -> None:
    experiments.refused(
        experiments.try_new(secondary_metrics=[{"own": 1}, {"kind": "ExperimentTrendsQuery"}]),
        "Invalid metric at index 1: legacy metric kind 'ExperimentTrendsQuery' is no longer supported for new "
        "experiments. Use 'ExperimentMetric' instead.",
        attr="secondary_metrics",
    )


# What is stored


@pytest.mark.parametrize("field", LISTS)
@pytest.mark.parametrize(
    "sent",
    [
        mean(event(math="sum", math_property="amount"), threshold=5.0, name=None, goal="decrease"),
        mean({"kind": "EventsNode", "event": None}),
        mean(event("")),
        mean(table()),
        funnel(event("a"), event("b", optionalInFunnel=True), funnel_order_type="strict"),
        ratio(event(math="unique_group", math_group_type_index=0), event(math="dau")),
        ratio(numerator_outlier_handling={"upper_bound_percentile": 0.99}),
        retention(retention_window_unit="week", conversion_window=0, conversion_window_unit="month"),
        mean(breakdownFilter={"breakdowns": [{"property": "$browser", "type": "event"}], "breakdown_limit": 5}),
        mean(isSharedMetric=False, sharedMetricId=None, version=2, response={"any": [1]}),
    ],
    ids=lambda value: str(value)[:70],
)
def test_metric__comes_back_as_sent_with_uuid_and_fingerprint(
    experiments: Experiments, field: str, sent: dict[str, Any]
) -> None:
    shown = experiments.made(**{field: [sent]})[field]

    assert bare(shown) == [sent]
    assert str(UUID(shown[0]["uuid"])) == shown[0]["uuid"]
    assert len(shown[0]["fingerprint"]) == 64


def test_node_without_kind__gets_the_kind_it_implies(experiments: Experiments, action: MakeAction) -> None:
    bought = action()
    warehouse = {name: value for name, value in table().items() if name != "kind"}
    nodes: list[dict[str, Any]] = [{"event": "a"}, {"id": bought.pk}, warehouse, {}]
    shown = experiments.made(metrics=[mean(node) for node in nodes])["metrics"]

    assert [one["source"]["kind"] for one in shown] == [
        *("EventsNode", "ActionsNode", "ExperimentDataWarehouseNode", "EventsNode")
    ]


def test_properties_as_an_empty_object__are_stored_as_a_list(experiments: Experiments) -> None:
    shown = experiments.made(metrics=[mean(event(properties={}, fixedProperties={}))])["metrics"]

    assert (shown[0]["source"]["properties"], shown[0]["source"]["fixedProperties"]) == ([], [])


def test_numbers_in_a_metric__keep_their_form(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(threshold=5.0), mean(threshold=5)])
    text = experiments.get(made["id"]).content

    assert b'"threshold":5.0,' in text
    assert b'"threshold":5,' in text


@pytest.mark.parametrize("fingerprint", ["mine", None, "0" * 64])
def test_sent_fingerprint__is_overwritten(experiments: Experiments, fingerprint: Any) -> None:
    made = experiments.made(metrics=[mean(uuid="m"), mean(uuid="n", fingerprint=fingerprint)])

    assert made["metrics"][0]["fingerprint"] == made["metrics"][1]["fingerprint"] != fingerprint


# Fingerprints: the published vector, and what they depend on


def test_fingerprint__of_the_published_vector(experiments: Experiments) -> None:
    sent = mean(event("$session_duration"), uuid="metric-1", name="A")
    made = experiments.made(metrics=[sent], exposure_criteria={"filterTestAccounts": True})

    assert made["metrics"][0]["fingerprint"] == "d2e1f06570c3ec0af658c6255890c0ee509e0a275cbc80f630d8e8718a1b8c25"


@pytest.mark.parametrize(
    "change",
    [
        {"start_date": STARTED},
        {"stats_config": {"method": "frequentist"}},
        {"exposure_criteria": {"filterTestAccounts": False}},
        {"only_count_matured_users": True},
    ],
    ids=str,
)
def test_fingerprint__follows_what_it_depends_on_in_every_metric(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric], change: dict[str, Any]
) -> None:
    made = experiments.made(
        metrics=[mean(event("seen"))], metrics_secondary=[ratio()], saved_metrics_ids=[{"id": saved_metric().pk}]
    )
    changed = experiments.changed(made["id"], **change)

    def prints(shown: dict[str, Any]) -> list[str]:
        inline = [*shown["metrics"], *shown["metrics_secondary"]]
        return [one["fingerprint"] for one in (*inline, *(link["query"] for link in shown["saved_metrics"]))]

    assert len(set(prints(made)) | set(prints(changed))) == 6
    assert bare(changed["metrics"]) == bare(made["metrics"])


@pytest.mark.parametrize(
    "change", [{"name": "Green"}, {"end_date": ENDED}, {"stats_config": {"method": "bayesian", "own": 1}}], ids=str
)
def test_fingerprint__is_indifferent_to_all_else(experiments: Experiments, change: dict[str, Any]) -> None:
    made = experiments.running(metrics=[mean()])

    assert experiments.changed(made["id"], **change)["metrics"] == made["metrics"]


def test_fingerprint__of_a_launched_experiment__is_that_of_the_start(experiments: Experiments) -> None:
    draft = experiments.made(metrics=[mean()])
    launched = experiments.changed(draft["id"], start_date=STARTED)
    reset = experiments.changed(draft["id"], start_date=None)

    assert launched["metrics"][0]["fingerprint"] != draft["metrics"][0]["fingerprint"]
    assert reset["metrics"] == draft["metrics"]


# Actions


@pytest.mark.parametrize("gone", ["unknown", "deleted", "foreign"])
def test_action__that_cannot_be_used__is_named(
    experiments: Experiments, action: MakeAction, foreign_project: Project, gone: str
) -> None:
    made = action(deleted=True) if gone == "deleted" else action(project=foreign_project)
    wanted = made.pk + 7 if gone == "unknown" else made.pk

    experiments.refused(experiments.try_new(metrics=[mean(action_node(wanted))]), missing_action(wanted))


def test_actions__unknown_ones_are_sorted_by_number(experiments: Experiments) -> None:
    steps = funnel(action_node(1000), action_node(99), event("a"), action_node(2**63))

    experiments.refused(
        experiments.try_new(metrics=[steps], metrics_secondary=[ratio(action_node(99), action_node(5))]),
        missing_action(5, 99, 1000, 2**63),
    )


def test_action__present_name_is_shown_on_single_objects_only(experiments: Experiments, action: MakeAction) -> None:
    bought = action("Old")
    made = experiments.made(metrics=[funnel(action_node(bought.pk, name="Mine"), action_node(bought.pk))])
    assert [node["name"] for node in made["metrics"][0]["series"]] == ["Old", "Old"]

    Action.objects.update(name="New")
    shown = experiments.read(made["id"])["metrics"][0]
    assert [node["name"] for node in shown["series"]] == ["New", "New"]
    assert shown["fingerprint"] == made["metrics"][0]["fingerprint"]
    assert Experiment.objects.get().metrics[0]["series"][0]["name"] == "Mine"


def test_action__gone_since__may_stay_in_its_metric(experiments: Experiments, action: MakeAction) -> None:
    gone = action().pk
    made = experiments.made(metrics=[mean(action_node(gone), uuid="m")])
    Action.objects.update(deleted=True)
    changed = experiments.changed(made["id"], metrics=[mean(action_node(gone), uuid="m", goal="decrease")])
    assert changed["metrics"][0]["goal"] == "decrease"

    experiments.refused(
        experiments.patch(made["id"], {"metrics": [mean(action_node(gone), uuid="other")]}), missing_action(gone)
    )


def test_action__gone_since__may_move_to_the_other_list(experiments: Experiments, action: MakeAction) -> None:
    gone = action().pk
    made = experiments.made(metrics=[mean(action_node(gone), uuid="m")])
    Action.objects.update(deleted=True)
    changed = experiments.changed(
        made["id"], metrics=[], metrics_secondary=[mean(action_node(gone), uuid="m", goal="decrease")]
    )

    assert (changed["metrics"], changed["metrics_secondary"][0]["goal"]) == ([], "decrease")


# uuids


@pytest.mark.parametrize("sent", [{}, {"uuid": None}, {"uuid": ""}])
def test_uuid__absent_null_or_empty__becomes_a_fresh_one(experiments: Experiments, sent: dict[str, Any]) -> None:
    shown = experiments.made(metrics=[mean(**sent), mean(**sent)])["metrics"]

    assert len({str(UUID(one["uuid"], version=4)) for one in shown}) == 2


@pytest.mark.parametrize("own", ["x", " ", "not a uuid ü", "u" * 500])
def test_uuid__any_other_text__is_kept(experiments: Experiments, own: str) -> None:
    made = experiments.made(metrics=[mean(uuid=own)])

    assert made["metrics"][0]["uuid"] == own
    assert made["primary_metrics_ordered_uuids"] == [own]


def test_uuid__held_twice__stays_with_the_first(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(uuid="a"), mean(uuid="a")], metrics_secondary=[mean(uuid="a")])

    first, second = (one["uuid"] for one in made["metrics"])
    third = made["metrics_secondary"][0]["uuid"]
    assert first == "a"
    assert len({first, second, third}) == 3


def test_uuid__held_by_a_linked_saved_metric__is_replaced(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric]
) -> None:
    links = [{"id": saved_metric("a").pk}]
    made = experiments.made(metrics=[mean(uuid="a")], saved_metrics_ids=links)
    assert made["metrics"][0]["uuid"] != "a"

    later = experiments.made(feature_flag_key="k", metrics=[mean(uuid="a")])
    linked = experiments.changed(later["id"], saved_metrics_ids=links)
    assert linked["metrics"][0]["uuid"] != "a"
    assert linked["primary_metrics_ordered_uuids"] == ["a", linked["metrics"][0]["uuid"]]


def test_uuid__of_a_saved_metric_unlinked_in_the_same_body__is_free(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric]
) -> None:
    made = experiments.made(saved_metrics_ids=[{"id": saved_metric("a").pk}])
    changed = experiments.changed(made["id"], saved_metrics_ids=None, metrics=[mean(uuid="a")])

    assert changed["metrics"][0]["uuid"] == "a"


def test_uuid__held_by_the_list_that_is_not_sent__is_replaced(experiments: Experiments) -> None:
    made = experiments.made(metrics_secondary=[mean(uuid="a")])
    changed = experiments.changed(made["id"], metrics=[mean(uuid="a")])

    assert changed["metrics"][0]["uuid"] != "a"
    assert changed["metrics_secondary"] == made["metrics_secondary"]


def test_uuid__moved_between_the_lists_of_one_body__is_kept(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(uuid="a")], metrics_secondary=[ratio(uuid="b")])
    changed = experiments.changed(made["id"], metrics=[ratio(uuid="b")], metrics_secondary=[mean(uuid="a")])

    assert [one["uuid"] for one in (*changed["metrics"], *changed["metrics_secondary"])] == ["b", "a"]
    assert (changed["primary_metrics_ordered_uuids"], changed["secondary_metrics_ordered_uuids"]) == (["b"], ["a"])


def test_metrics__are_replaced_as_a_whole_and_omitted_ones_stay(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(uuid="a"), ratio(uuid="b")], metrics_secondary=[mean(uuid="c")])
    changed = experiments.changed(made["id"], metrics=[funnel(event("x"), uuid="d")])

    assert [one["uuid"] for one in changed["metrics"]] == ["d"]
    assert changed["metrics_secondary"] == made["metrics_secondary"]
