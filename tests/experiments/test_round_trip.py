"""What was read can be sent back: it is accepted, and nothing changes, whatever the experiment has been through."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.models import Action
from experiments.models import Experiment, ExperimentHoldout, ExperimentSavedMetric
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import ENDED, STARTED, Experiments, Json, everything, variants
from tests.experiments.documents import action as action_node
from tests.experiments.documents import event, funnel, mean, ratio, retention

METRICS = [
    mean(event(properties=[{"key": "plan", "value": ["a", 1.0], "operator": "exact", "type": "event"}]), uuid="m-1"),
    funnel(event("a"), event("b"), name="Steps", conversion_window=14, conversion_window_unit="day"),
]
EVERYTHING: dict[str, Any] = {
    "description": "Why",
    "metrics": METRICS,
    "metrics_secondary": [ratio(), retention()],
    "secondary_metrics": [{"old": 1}],
    "filters": {"own": {"b": 1, "a": 1.0}},
    "exposure_criteria": {
        "multiple_variant_handling": "first_seen",
        "exposure_config": {"event": "seen", "properties": {}},
    },
    "stats_config": {"method": "frequentist", "multiplicity": "holm", "baseline_variant_key": "test"},
    "scheduling_config": {"timeseries": True},
    "conclusion": "inconclusive",
    "conclusion_comment": "",
    "parameters": {
        "feature_flag_variants": variants(20, 30, 50),
        "rollout_percentage": 40,
        "minimum_detectable_effect": 5,
        "excluded_variants": ["third"],
        "variant_notes": {"test": "bold"},
        "custom_exposure_filter": {"events": []},
    },
    "_create_in_folder": "Shop",
}
NULLS: dict[str, Any] = {
    "description": None,
    "type": None,
    "scheduling_config": None,
    "running_time_calculation": {"minimum_detectable_effect": None},
    "parameters": {"rollout_percentage": None, "aggregation_group_type_index": None},
}


class Stage:
    """What a shape is made with."""

    def __init__(
        self,
        experiments: Experiments,
        flags: APIClient,
        flag: Callable[..., FeatureFlag],
        holdout: Callable[..., ExperimentHoldout],
        saved_metric: Callable[..., ExperimentSavedMetric],
        action: Callable[..., Action],
    ) -> None:
        self.experiments = experiments
        self.flags = flags
        self.flag = flag
        self.holdout = holdout
        self.saved_metric = saved_metric
        self.action = action

    def edit_flag(self, flag_id: int, **changes: Any) -> None:
        answer = self.flags.patch(f"/api/projects/{self.experiments.project.pk}/feature_flags/{flag_id}/", changes)
        assert answer.status_code == 200, answer.json()


@pytest.fixture
def stage(
    experiments: Experiments,
    owner_api: APIClient,
    flag: Callable[..., FeatureFlag],
    holdout: Callable[..., ExperimentHoldout],
    saved_metric: Callable[..., ExperimentSavedMetric],
    action: Callable[..., Action],
) -> Stage:
    return Stage(experiments, owner_api, flag, holdout, saved_metric, action)


def _on_a_rich_flag(stage: Stage) -> Json:
    stage.flag(
        weights=(30, 70),
        filters={
            "groups": [
                {"properties": [], "rollout_percentage": 33.5, "aggregation_group_type_index": 1},
                {"properties": [], "rollout_percentage": None, "variant": "test", "aggregation_group_type_index": 1},
            ],
            "payloads": {"test": "1"},
            "holdout": {"id": 99, "exclusion_percentage": 3},
        },
    )
    return stage.experiments.made(parameters={"rollout_percentage": 5, "feature_flag_variants": variants(50, 50)})


def _with_saved_metrics(stage: Stage) -> Json:
    first, second = stage.saved_metric("s-1"), stage.saved_metric("s-2", name="Visits")
    links = [{"id": second.pk, "metadata": {"type": "guardrail", "own": 1}}, {"id": first.pk}]
    return stage.experiments.made(metrics=METRICS, saved_metrics_ids=links)


def _with_actions(stage: Stage) -> Json:
    kept, gone = stage.action(), stage.action("Gone")
    saved = stage.saved_metric(source=action_node(kept.pk, name="Old name"))
    made = stage.experiments.made(
        metrics=[mean(action_node(kept.pk, name="Old name")), mean(action_node(gone.pk))],
        exposure_criteria={"exposure_config": {"id": gone.pk}},
        saved_metrics_ids=[{"id": saved.pk}],
    )
    Action.objects.filter(pk=gone.pk).update(deleted=True)
    Action.objects.filter(pk=kept.pk).update(name="New name")
    return made


def _holdout_not_in_the_flag(stage: Stage) -> Json:
    stage.flag()
    return stage.experiments.made(holdout_id=stage.holdout().pk)


def _reset_with_weights_of_its_own(stage: Stage) -> Json:
    made = stage.experiments.running()
    stage.experiments.changed(made["id"], parameters={"feature_flag_variants": variants(10, 10)})
    return stage.experiments.changed(made["id"], start_date=None)


def _on_a_flag_that_lost_its_variants(stage: Stage) -> Json:
    made = stage.experiments.made(parameters={"rollout_percentage": 20})
    stage.edit_flag(made["feature_flag"]["id"], filters={"multivariate": None})
    return made


def _on_a_flag_with_one_variant(stage: Stage) -> Json:
    made = stage.experiments.made(excluded_variants=[], stats_config={"baseline_variant_key": "test"})
    stage.edit_flag(made["feature_flag"]["id"], filters={"multivariate": {"variants": variants(100)}})
    return made


def _on_a_flag_that_lost_its_groups(stage: Stage) -> Json:
    made = stage.experiments.made(parameters={"rollout_percentage": 20})
    stage.edit_flag(made["feature_flag"]["id"], filters={"groups": []})
    return made


def _configured_twice(stage: Stage) -> Json:
    return stage.experiments.made(
        parameters={
            "rollout_percentage": 10,
            "aggregation_group_type_index": 0,
            "feature_flag_variants": variants(50, 50),
        },
        feature_flag={
            "filters": {
                "groups": [{"rollout_percentage": 80}],
                "aggregation_group_type_index": None,
                "multivariate": {"variants": variants(20, 30, 50)},
            }
        },
    )


def _with_a_variant_added_to_the_flag(stage: Stage) -> Json:
    made = stage.experiments.running()
    stage.edit_flag(made["feature_flag"]["id"], filters={"multivariate": {"variants": variants(20, 30, 50)}})
    return made


def _stopped_without_flag(stage: Stage) -> Json:
    made = stage.experiments.stopped()
    stage.edit_flag(made["feature_flag"]["id"], deleted=True)
    return made


def _paused(stage: Stage) -> Json:
    made = stage.experiments.running(holdout_id=stage.holdout(12.5).pk)
    stage.edit_flag(made["feature_flag"]["id"], active=False)
    return made


SHAPES: Mapping[str, Callable[[Stage], Json]] = {
    "draft": lambda stage: stage.experiments.made(),
    "draft with an end": lambda stage: stage.experiments.made(end_date=ENDED),
    "draft with everything": lambda stage: stage.experiments.made(**EVERYTHING),
    "draft with nulls": lambda stage: stage.experiments.made(**NULLS),
    "running with everything": lambda stage: stage.experiments.running(**EVERYTHING),
    "with microseconds": lambda stage: stage.experiments.made(start_date="2026-01-01T00:00:00.000001Z"),
    "stopped web": lambda stage: stage.experiments.stopped(type="web", parameters=EVERYTHING["parameters"]),
    "archived": lambda stage: stage.experiments.stopped(archived=True, conclusion="won"),
    "paused": _paused,
    "on a rich flag": _on_a_rich_flag,
    "with saved metrics": _with_saved_metrics,
    "with actions": _with_actions,
    "holdout not in the flag": _holdout_not_in_the_flag,
    "reset with weights of its own": _reset_with_weights_of_its_own,
    "on a flag that lost its variants": _on_a_flag_that_lost_its_variants,
    "on a flag with one variant": _on_a_flag_with_one_variant,
    "on a flag that lost its groups": _on_a_flag_that_lost_its_groups,
    "configured twice": _configured_twice,
    "with a variant added to the flag": _with_a_variant_added_to_the_flag,
    "stopped without flag": _stopped_without_flag,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_read_and_sent_back__changes_nothing(stage: Stage, shape: str) -> None:
    made = SHAPES[shape](stage)
    answer = stage.experiments.get(made["id"])
    before = everything()
    sent_back = stage.experiments.patch(made["id"], answer.json())

    assert (sent_back.status_code, sent_back.json()) == (200, answer.json())
    assert sent_back.headers["ETag"] == answer.headers["ETag"]
    assert everything() == before


@pytest.mark.parametrize("shape", SHAPES)
def test_each_field_read_and_sent_back_alone__changes_nothing(stage: Stage, shape: str) -> None:
    made = SHAPES[shape](stage)
    shown = stage.experiments.read(made["id"])
    before = everything()
    for name, value in shown.items():
        if shape == "holdout not in the flag" and name == "holdout_id":
            continue  # Sent on its own it is meant for the flag.
        sent_back = stage.experiments.patch(made["id"], {name: value})
        assert (sent_back.status_code, sent_back.json()) == (200, shown), name
        assert everything() == before, name


def test_holdout_id_sent_alone_from_a_draft__reaches_the_flag(stage: Stage) -> None:
    made = _holdout_not_in_the_flag(stage)
    changed = stage.experiments.changed(made["id"], holdout_id=made["holdout_id"])

    assert changed["feature_flag"]["filters"]["holdout"] == {"id": made["holdout_id"], "exclusion_percentage": 10}
    assert changed["feature_flag"]["version"] == 2


def test_read_in_a_list_and_sent_back__changes_nothing(stage: Stage) -> None:
    made = _with_actions(stage)
    listed = stage.experiments.list().json()["results"][0]
    before = everything()

    assert stage.experiments.patch(made["id"], listed).status_code == 200
    assert everything() == before


def test_read_and_sent_back_by_another_member__changes_nothing(stage: Stage, owner_api: APIClient) -> None:
    made = stage.experiments.running(**EVERYTHING)
    before = everything()
    colleague = Experiments(owner_api, stage.experiments.project)

    assert colleague.patch(made["id"], colleague.read(made["id"])).status_code == 200
    assert everything() == before
    assert Experiment.objects.get().start_date is not None
    assert made["start_date"] == STARTED
