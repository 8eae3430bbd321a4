"""GET experiments/{id}/activity/."""

from collections.abc import Callable

from experiments.models import ExperimentHoldout, ExperimentSavedMetric
from tests.experiments.conftest import Experiments


def test_activity__tells_of_all_that_the_experiment_uses(
    experiments: Experiments,
    holdout: Callable[..., ExperimentHoldout],
    saved_metric: Callable[..., ExperimentSavedMetric],
) -> None:
    held, saved = holdout(10), saved_metric()
    experiment = experiments.made(holdout_id=held.pk, saved_metrics_ids=[{"id": saved.pk}])
    base = f"/api/projects/{experiments.project.pk}"
    experiments.client.patch(f"{base}/experiment_holdouts/{held.pk}/", {"name": "Renamed"})
    experiments.client.patch(f"{base}/experiment_saved_metrics/{saved.pk}/", {"name": "Renamed"})
    experiments.post(None, f"{experiment['id']}/launch")
    answer = experiments.get(f"{experiment['id']}/activity").json()
    scopes = [(row["scope"], row["activity"], row["detail"]["type"]) for row in answer["results"]]
    assert scopes == [
        ("Experiment", "updated", None),
        ("FeatureFlag", "updated", None),
        ("ExperimentSavedMetric", "updated", "shared_metric"),
        ("ExperimentHoldout", "updated", "holdout"),
        ("Experiment", "created", None),
        ("Experiment", "created", "saved_metric_config"),
        ("FeatureFlag", "created", None),
    ]
    assert answer["total_count"] == 7


def test_activity__of_another_experiment__is_not_told(experiments: Experiments) -> None:
    first = experiments.made(feature_flag_key="one")
    experiments.made(feature_flag_key="two")
    rows = experiments.get(f"{first['id']}/activity").json()["results"]
    assert {row["item_id"] for row in rows if row["scope"] == "Experiment"} == {str(first["id"])}
    assert len(rows) == 2
