"""Reading and writing experiments costs a fixed number of statements, however much hangs on them."""

from collections.abc import Callable
from typing import Any

import pytest

from events.models import Action
from experiments.models import ExperimentHoldout, ExperimentSavedMetric
from tests.experiments.conftest import Experiments, Json
from tests.experiments.documents import action as action_node
from tests.experiments.documents import event, funnel, mean, ratio
from tests.query_counts import pinned


@pytest.fixture
def full(
    experiments: Experiments,
    holdout: Callable[..., ExperimentHoldout],
    saved_metric: Callable[..., ExperimentSavedMetric],
    action: Callable[..., Action],
) -> Callable[[int], Json]:
    """Makes an experiment with everything that may hang on one: `width` saved metrics, and metrics on as many actions.

    The caller's key has been used before, so that no request counts its first use.
    """

    def make(number: int, width: int = 2) -> Json:
        saved = [saved_metric(f"saved-{number}-{part}", source=event(f"e-{part}")).pk for part in range(width)]
        actions = [action(f"Action {number}-{part}").pk for part in range(width)]
        return experiments.made(
            name=f"Experiment {number}",
            feature_flag_key=f"flag-{number}",
            holdout_id=holdout().pk,
            metrics=[funnel(*(action_node(pk) for pk in actions)), mean(event("x"))],
            metrics_secondary=[ratio()],
            saved_metrics_ids=[{"id": pk} for pk in saved],
        )

    experiments.list()
    return make


@pytest.mark.parametrize("length", [3, 30])
def test_list__of_any_length__costs_the_same(
    experiments: Experiments, full: Callable[[int], Json], length: int
) -> None:
    for number in range(length):
        full(number)
    with pinned("experiments list"):
        answer = experiments.list()

    assert len(answer.json()["results"]) == length


@pytest.mark.parametrize(
    "query", [{"status": "draft", "search": "exp"}, {"order": "duration"}, {"order": "created_by"}]
)
def test_list__filtered_and_ordered__costs_the_same(
    experiments: Experiments, full: Callable[[int], Json], query: dict[str, str]
) -> None:
    full(1)
    with pinned("experiments list"):
        answer = experiments.list(**query)

    assert len(answer.json()["results"]) == 1


@pytest.mark.parametrize("width", [1, 9])
def test_retrieve__however_many_metrics__costs_the_same(
    experiments: Experiments, full: Callable[..., Json], width: int
) -> None:
    made = full(1, width)
    with pinned("experiments retrieve"):
        answer = experiments.get(made["id"])

    assert len(answer.json()["saved_metrics"]) == width


@pytest.mark.parametrize("metrics", [1, 9])
def test_create__however_many_metrics__costs_the_same(
    experiments: Experiments, action: Callable[..., Action], metrics: int
) -> None:
    experiments.list()
    nodes = [action_node(action(f"Action {number}").pk) for number in range(metrics)]
    with pinned("experiments create"):
        answer = experiments.try_new(metrics=[mean(node) for node in nodes])

    assert answer.status_code == 201


@pytest.mark.parametrize("others", [1, 9])
def test_create__on_a_live_flag__costs_the_same_however_many_share_it(experiments: Experiments, others: int) -> None:
    for _ in range(others):
        experiments.made()
    with pinned("experiments create linked"):
        answer = experiments.try_new()

    assert answer.status_code == 201


@pytest.mark.parametrize("width", [1, 9])
def test_patch__of_a_field__costs_the_same_however_many_metrics(
    experiments: Experiments, full: Callable[..., Json], width: int
) -> None:
    made = full(1, width)
    with pinned("experiments patch"):
        answer = experiments.patch(made["id"], {"name": "Green"})

    assert answer.status_code == 200


@pytest.mark.parametrize("body", [{}, {"name": "Experiment 1", "description": ""}], ids=str)
def test_patch__that_changes_nothing__writes_nothing(
    experiments: Experiments, full: Callable[..., Json], body: dict[str, Any]
) -> None:
    made = full(1)
    with pinned("experiments patch nothing"):
        answer = experiments.patch(made["id"], body)

    assert answer.status_code == 200
