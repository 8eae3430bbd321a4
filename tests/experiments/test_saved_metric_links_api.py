"""`saved_metrics_ids` and `saved_metrics` over REST."""

from collections.abc import Callable
from typing import Any

import pytest

from activity.models import ActivityEntry
from common.datetimes import format_datetime
from events.models import Action
from experiments.models import ExperimentSavedMetric, ExperimentToSavedMetric
from projects.models import Project
from tests.experiments.conftest import Experiments, activity_of, everything, saved_query
from tests.experiments.documents import action as action_node

SaveMetric = Callable[..., ExperimentSavedMetric]
UNKNOWN = "Saved metric does not exist or does not belong to this project"


def test_links__are_shown_oldest_first_in_both_fields(experiments: Experiments, saved_metric: SaveMetric) -> None:
    first, second = saved_metric("a"), saved_metric("b", name="Visits")
    links = [{"id": second.pk, "metadata": {"type": "secondary", "own": [1.0]}}, {"id": first.pk}]
    made = experiments.made(saved_metrics_ids=links)
    rows = list(ExperimentToSavedMetric.objects.order_by("pk"))

    assert made["saved_metrics_ids"] == [
        {"id": second.pk, "metadata": {"type": "secondary", "own": [1.0]}},
        {"id": first.pk, "metadata": {"type": "primary"}},
    ]
    query = made["saved_metrics"][0]["query"]
    assert made["saved_metrics"][0] == {
        "id": rows[0].pk,
        "experiment": made["id"],
        "saved_metric": second.pk,
        "metadata": {"type": "secondary", "own": [1.0]},
        "created_at": format_datetime(rows[0].created_at),
        "name": "Visits",
        "query": {**saved_query("b"), "fingerprint": query["fingerprint"]},
    }
    assert [link["saved_metric"] for link in made["saved_metrics"]] == [second.pk, first.pk]


@pytest.mark.parametrize("metadata", [{}, {"metadata": None}])
def test_metadata__absent_or_null__is_primary(
    experiments: Experiments, saved_metric: SaveMetric, metadata: dict[str, Any]
) -> None:
    made = experiments.made(saved_metrics_ids=[{"id": saved_metric().pk, **metadata}])

    assert made["saved_metrics_ids"][0]["metadata"] == {"type": "primary"}


def test_links__are_the_full_new_set_and_kept_ones_stay_the_same_rows(
    experiments: Experiments, saved_metric: SaveMetric
) -> None:
    kept, gone, new = saved_metric("a"), saved_metric("b"), saved_metric("c")
    made = experiments.made(saved_metrics_ids=[{"id": gone.pk}, {"id": kept.pk}])
    row = made["saved_metrics"][1]
    changed = experiments.changed(
        made["id"], saved_metrics_ids=[{"id": new.pk}, {"id": kept.pk, "metadata": {"type": "secondary"}}]
    )

    assert [link["saved_metric"] for link in changed["saved_metrics"]] == [kept.pk, new.pk]
    assert changed["saved_metrics"][0] == {**row, "metadata": {"type": "secondary"}}
    assert ExperimentToSavedMetric.objects.count() == 2
    assert ExperimentSavedMetric.objects.count() == 3


@pytest.mark.parametrize("sent", [None, []])
def test_null_and_empty__remove_all(experiments: Experiments, saved_metric: SaveMetric, sent: Any) -> None:
    made = experiments.made(saved_metrics_ids=[{"id": saved_metric().pk}])
    changed = experiments.changed(made["id"], saved_metrics_ids=sent)

    assert (changed["saved_metrics"], changed["saved_metrics_ids"]) == ([], [])
    assert ExperimentToSavedMetric.objects.exists() is False


def test_omitted__leaves_the_links_alone(experiments: Experiments, saved_metric: SaveMetric) -> None:
    made = experiments.made(saved_metrics_ids=[{"id": saved_metric().pk}])

    assert experiments.changed(made["id"], name="Green")["saved_metrics"] == made["saved_metrics"]


@pytest.mark.parametrize("state", ["draft", "running", "stopped"])
def test_links__change_in_any_state(experiments: Experiments, saved_metric: SaveMetric, state: str) -> None:
    made = {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state]()

    assert len(experiments.changed(made["id"], saved_metrics_ids=[{"id": saved_metric().pk}])["saved_metrics"]) == 1


WRONG: list[tuple[Any, str, str]] = [
    ({}, "not_a_list", 'Expected a list of items but got type "dict".'),
    ("5", "not_a_list", 'Expected a list of items but got type "str".'),
    ([5], "invalid_input", "Saved metric must be an object"),
    ([None], "invalid_input", "Saved metric must be an object"),
    ([{"metadata": {"type": "primary"}}], "invalid_input", "Saved metric must have an id"),
    ([{"id": None}], "invalid_input", UNKNOWN),
    ([{"id": "KNOWN"}], "invalid_input", UNKNOWN),
    ([{"id": True}], "invalid_input", UNKNOWN),
    ([{"id": [1]}], "invalid_input", UNKNOWN),
    ([{"id": 1.0}], "invalid_input", UNKNOWN),
    ([{"id": 2**70}], "invalid_input", UNKNOWN),
    ([{"id": -1}], "invalid_input", UNKNOWN),
    ([{"id": 7, "metadata": []}], "invalid_input", "Metadata must be an object"),
    ([{"id": 7, "metadata": "primary"}], "invalid_input", "Metadata must be an object"),
    ([{"id": 7, "metadata": {}}], "invalid_input", "Metadata must have a type key"),
    ([{"id": 7}], "invalid_input", UNKNOWN),
]


@pytest.mark.parametrize("state", ["new", "running"])
@pytest.mark.parametrize(("sent", "code", "detail"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_links__are_refused(experiments: Experiments, state: str, sent: Any, code: str, detail: str) -> None:
    made = experiments.running() if state == "running" else {}
    before = everything()
    body = {"saved_metrics_ids": sent}
    answer = experiments.patch(made["id"], body) if made else experiments.try_new(**body)

    experiments.refused(answer, detail, attr="saved_metrics_ids", code=code)
    assert everything() == before


def test_same_metric_twice__is_refused(experiments: Experiments, saved_metric: SaveMetric) -> None:
    saved = saved_metric().pk

    experiments.refused(
        experiments.try_new(saved_metrics_ids=[{"id": saved}, {"id": saved, "metadata": {"type": "secondary"}}]),
        UNKNOWN,
        attr="saved_metrics_ids",
    )


def test_metric_of_another_project__is_refused(
    experiments: Experiments, saved_metric: SaveMetric, foreign_project: Project
) -> None:
    experiments.refused(
        experiments.try_new(saved_metrics_ids=[{"id": saved_metric(project=foreign_project).pk}]),
        UNKNOWN,
        attr="saved_metrics_ids",
    )


def test_actions_of_saved_metrics__bear_their_present_names(
    experiments: Experiments, saved_metric: SaveMetric, action: Callable[..., Action]
) -> None:
    bought = action("Old")
    saved = saved_metric(source=action_node(bought.pk, name="Stored"))
    made = experiments.made(saved_metrics_ids=[{"id": saved.pk}])
    Action.objects.update(name="New")

    assert experiments.read(made["id"])["saved_metrics"][0]["query"]["source"]["name"] == "New"
    saved.refresh_from_db()
    assert saved.query["source"]["name"] == "Stored"


def test_same_saved_metric_in_two_experiments__has_a_fingerprint_in_each(
    experiments: Experiments, saved_metric: SaveMetric
) -> None:
    links = [{"id": saved_metric().pk}]
    first = experiments.made(saved_metrics_ids=links)
    second = experiments.made(feature_flag_key="k", saved_metrics_ids=links, only_count_matured_users=True)

    def fingerprint(shown: dict[str, Any]) -> str:
        query: dict[str, str] = shown["saved_metrics"][0]["query"]
        return query["fingerprint"]

    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(experiments.changed(second["id"], only_count_matured_users=False)) == fingerprint(first)


def test_links__log_under_the_experiment(experiments: Experiments, saved_metric: SaveMetric) -> None:
    saved = saved_metric().pk
    made = experiments.made(saved_metrics_ids=[{"id": saved}])
    experiments.changed(made["id"], saved_metrics_ids=[{"id": saved, "metadata": {"type": "secondary"}}])
    experiments.changed(made["id"], saved_metrics_ids=[])
    entries = [entry for entry in activity_of(made) if entry.detail["type"] == "saved_metric_config"]

    assert [entry.activity for entry in entries] == ["created", "updated", "deleted"]
    assert [entry.detail["name"] for entry in entries] == ["Purchases"] * 3
    assert entries[1].detail["changes"] == [
        {
            "type": "Experiment",
            "action": "changed",
            "field": "metadata",
            "before": {"type": "primary"},
            "after": {"type": "secondary"},
        }
    ]
    assert ActivityEntry.objects.filter(scope="Experiment", activity="updated").count() == 1
