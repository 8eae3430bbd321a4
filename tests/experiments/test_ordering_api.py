"""The arrays of ordered uuids over REST."""

from collections.abc import Callable
from typing import Any

import pytest

from experiments.models import ExperimentSavedMetric
from tests.experiments.conftest import Experiments, everything
from tests.experiments.documents import mean

PRIMARY, SECONDARY = "primary_metrics_ordered_uuids", "secondary_metrics_ordered_uuids"
SaveMetric = Callable[..., ExperimentSavedMetric]


def inline(*uuids: str) -> list[dict[str, Any]]:
    return [mean(uuid=uuid) for uuid in uuids]


# Create


@pytest.mark.parametrize(
    ("sent", "order"),
    [
        ({}, ["a", "b", "s"]),
        ({PRIMARY: None}, ["a", "b", "s"]),
        ({PRIMARY: []}, ["a", "b", "s"]),
        ({PRIMARY: ["s", "b"]}, ["s", "b", "a"]),
        ({PRIMARY: ["extra", "b", "b"]}, ["extra", "b", "a", "s"]),
    ],
    ids=str,
)
def test_create__what_the_array_lacks__is_appended(
    experiments: Experiments, saved_metric: SaveMetric, sent: dict[str, Any], order: list[str]
) -> None:
    links = [{"id": saved_metric("s").pk}]
    made = experiments.made(metrics=inline("a", "b"), saved_metrics_ids=links, **sent)

    assert made[PRIMARY] == order
    assert made[SECONDARY] is None


def test_create__saved_metrics__are_listed_by_the_type_of_their_link(
    experiments: Experiments, saved_metric: SaveMetric
) -> None:
    links = [
        {"id": saved_metric("first").pk, "metadata": {"type": "secondary"}},
        {"id": saved_metric("second").pk},
        {"id": saved_metric("third").pk, "metadata": {"type": "guardrail"}},
    ]
    made = experiments.made(metrics_secondary=inline("a"), saved_metrics_ids=links)

    assert (made[PRIMARY], made[SECONDARY]) == (["second"], ["a", "first", "third"])


@pytest.mark.parametrize("sent", [None, [], ["extra"]])
def test_create__nothing_to_order__is_as_sent(experiments: Experiments, sent: Any) -> None:
    assert experiments.made(**{SECONDARY: sent})[SECONDARY] == sent


# PATCH


def test_update__new_metrics_are_appended_and_removed_ones_leave(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a", "b", "c"), **{PRIMARY: ["extra", "c", "a", "b"]})
    changed = experiments.changed(made["id"], metrics=inline("d", "c", "a"))

    assert changed[PRIMARY] == ["extra", "c", "a", "d"]


def test_update__sent_order__is_taken_with_its_extras(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a", "b"))

    assert experiments.changed(made["id"], **{PRIMARY: ["b", "x", "a", "b"]})[PRIMARY] == ["b", "x", "a"]


def test_update__sent_order_with_new_metrics__may_place_or_omit_them(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a"))
    placed = experiments.changed(made["id"], metrics=inline("a", "b"), **{PRIMARY: ["b", "a"]})
    assert placed[PRIMARY] == ["b", "a"]

    omitted = experiments.changed(made["id"], metrics=inline("a", "b", "c"), **{PRIMARY: ["b", "a"]})
    assert omitted[PRIMARY] == ["b", "a", "c"]


def test_update__removed_metric_in_the_sent_order__leaves_it(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a", "b"))

    assert experiments.changed(made["id"], metrics=inline("a"), **{PRIMARY: ["b", "a"]})[PRIMARY] == ["a"]


def test_update__link_of_another_type__moves_over(experiments: Experiments, saved_metric: SaveMetric) -> None:
    saved = saved_metric("s").pk
    made = experiments.made(
        metrics=inline("a"), metrics_secondary=inline("b"), saved_metrics_ids=[{"id": saved}], **{PRIMARY: ["s", "a"]}
    )
    changed = experiments.changed(made["id"], saved_metrics_ids=[{"id": saved, "metadata": {"type": "secondary"}}])

    assert (changed[PRIMARY], changed[SECONDARY]) == (["a"], ["b", "s"])


def test_update__all_links_removed__their_entries_leave(experiments: Experiments, saved_metric: SaveMetric) -> None:
    made = experiments.made(metrics=inline("a"), saved_metrics_ids=[{"id": saved_metric("s").pk}])

    assert experiments.changed(made["id"], saved_metrics_ids=[])[PRIMARY] == ["a"]


def test_update__last_metric_removed__leaves_an_empty_array(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a"))

    assert experiments.changed(made["id"], metrics=None)[PRIMARY] == []


def test_update__first_metric_of_a_null_array__starts_it(experiments: Experiments) -> None:
    made = experiments.made()

    assert experiments.changed(made["id"], metrics_secondary=inline("a"))[SECONDARY] == ["a"]


ADVICE = "This is likely a frontend bug - please refresh and try again."


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ([], f"{PRIMARY} is missing UUIDs: ['a', 'b', 's']. {ADVICE}"),
        (["s", "other"], f"{PRIMARY} is missing UUIDs: ['a', 'b']. {ADVICE}"),
        (None, f"{PRIMARY} is null but primary metrics exist. {ADVICE}"),
    ],
    ids=str,
)
def test_update__incomplete_order__is_refused(
    experiments: Experiments, saved_metric: SaveMetric, sent: Any, detail: str
) -> None:
    made = experiments.made(metrics=inline("b", "a"), saved_metrics_ids=[{"id": saved_metric("s").pk}])
    before = everything()

    experiments.refused(experiments.patch(made["id"], {PRIMARY: sent}), detail)
    assert everything() == before


def test_update__incomplete_secondary_order__is_told_of_it(experiments: Experiments) -> None:
    made = experiments.made(metrics_secondary=inline("a"))

    experiments.refused(
        experiments.patch(made["id"], {SECONDARY: None}), f"{SECONDARY} is null but secondary metrics exist. {ADVICE}"
    )
    experiments.refused(
        experiments.patch(made["id"], {SECONDARY: ["b"]}), f"{SECONDARY} is missing UUIDs: ['a']. {ADVICE}"
    )


@pytest.mark.parametrize("sent", [None, [], ["x"]])
def test_update__order_of_nothing__is_as_sent(experiments: Experiments, sent: Any) -> None:
    made = experiments.made()

    assert experiments.changed(made["id"], **{PRIMARY: sent})[PRIMARY] == sent


@pytest.mark.parametrize("field", [PRIMARY, SECONDARY])
@pytest.mark.parametrize("sent", ["a", {}, 5, ["a", 5], [None], [["a"]]])
def test_order__no_list_of_strings__is_refused(experiments: Experiments, field: str, sent: Any) -> None:
    made = experiments.made()

    experiments.refused(experiments.patch(made["id"], {field: sent}), f"{field} must be a list of strings", attr=field)


def test_update__of_other_fields__asks_nothing_of_the_order(experiments: Experiments) -> None:
    made = experiments.made(metrics=inline("a"))

    assert experiments.changed(made["id"], name="Green")[PRIMARY] == ["a"]
