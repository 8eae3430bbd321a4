"""How each route of flags and experiments is driven: those that are gated, and those that need not be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rest_framework.test import APIClient

from projects.models import Project
from tests.approvals.conftest import Experiments, Flags, Json

STARTED = "2026-01-01T00:00:00Z"
SEGMENT = {"groups": [{"properties": [], "rollout_percentage": 50}]}
PURCHASE = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "source": {"kind": "EventsNode", "event": "purchase"},
}


@dataclass
class Stage:
    """Callers of one project, and another project of the organization."""

    project: Project
    other: Project
    api: APIClient
    flags: Flags
    experiments: Experiments

    def post(self, path: str, **body: Any) -> Any:
        return self.api.post(f"/api/projects/{self.project.pk}/{path}", body)

    def patch(self, path: str, **body: Any) -> Any:
        return self.api.patch(f"/api/projects/{self.project.pk}/{path}", body)

    def delete(self, path: str) -> Any:
        return self.api.delete(f"/api/projects/{self.project.pk}/{path}")

    def schedule(self, flag: Json) -> Any:
        payload = {"operation": "update_status", "value": True}
        body = {"record_id": str(flag["id"]), "model_name": "FeatureFlag", "scheduled_at": "2030-01-01T00:00:00Z"}
        return self.post("scheduled_changes/", payload=payload, **body)


@dataclass(frozen=True)
class Scene:
    """How a route is driven: what there is before the policies, and the request that is judged."""

    there: Callable[[Stage], Json]
    asked: Callable[[Stage, Json], Any]


def nothing(stage: Stage) -> Json:
    return {}


def a_flag(**fields: Any) -> Callable[[Stage], Json]:
    return lambda stage: stage.flags.made(**fields)


def an_experiment(*acts: str, **fields: Any) -> Callable[[Stage], Json]:
    return lambda stage: stage.experiments.done(stage.experiments.made(**fields), *acts)


def a_holdout_in_use(stage: Stage) -> Json:
    holdout = stage.experiments.holdout(10)
    stage.experiments.done(stage.experiments.made(holdout_id=holdout["id"]), "launch")
    return holdout


def a_saved_metric(stage: Stage) -> Json:
    made: Json = stage.post("experiment_saved_metrics/", name="Purchases", query=PURCHASE).json()
    stage.experiments.done(stage.experiments.made(saved_metrics_ids=[{"id": made["id"]}]), "launch")
    return made


def a_schedule(stage: Stage) -> Json:
    made: Json = stage.schedule(stage.flags.made()).json()
    return made


# --- The gated ones ---------------------------------------------------------------------------------------------

GATED: dict[str, Scene] = {
    "FeatureFlagViewSet.create": Scene(nothing, lambda s, _: s.flags.post(key="new")),
    "FeatureFlagViewSet.partial_update": Scene(
        a_flag(active=True, filters=SEGMENT),
        lambda s, flag: s.flags.patch(flag, filters={"groups": [{"properties": [], "rollout_percentage": 60}]}),
    ),
    "FeatureFlagViewSet.enable": Scene(a_flag(), lambda s, flag: s.flags.act(flag, "enable")),
    "FeatureFlagViewSet.disable": Scene(a_flag(active=True), lambda s, flag: s.flags.act(flag, "disable")),
    "FeatureFlagViewSet.archive": Scene(a_flag(active=True), lambda s, flag: s.flags.act(flag, "archive")),
    "ExperimentViewSet.create": Scene(nothing, lambda s, _: s.experiments.post(start_date=STARTED)),
    "ExperimentViewSet.partial_update": Scene(
        an_experiment(), lambda s, made: s.experiments.patch(made, start_date=STARTED, name="Launched")
    ),
    "ExperimentViewSet.launch": Scene(an_experiment(), lambda s, made: s.experiments.act(made, "launch")),
    "ExperimentViewSet.pause": Scene(an_experiment("launch"), lambda s, made: s.experiments.act(made, "pause")),
    "ExperimentViewSet.resume": Scene(
        an_experiment("launch", "pause"), lambda s, made: s.experiments.act(made, "resume")
    ),
    "ExperimentViewSet.ship_variant": Scene(
        an_experiment("launch"), lambda s, made: s.experiments.act(made, "ship_variant", variant_key="test")
    ),
    "ExperimentHoldoutViewSet.partial_update": Scene(
        a_holdout_in_use, lambda s, holdout: s.experiments.change_holdout(holdout, 20, name="More")
    ),
    "ExperimentHoldoutViewSet.destroy": Scene(
        a_holdout_in_use, lambda s, holdout: s.experiments.delete_holdout(holdout)
    ),
}

# --- The others of flags and experiments, which are driven too -----------------------------------------------------

UNGATED: dict[str, tuple[str, Scene]] = {
    "FeatureFlagViewSet.unarchive": (
        "the flag stays switched off",
        Scene(a_flag(archived=True), lambda s, flag: s.flags.act(flag, "unarchive")),
    ),
    "FeatureFlagViewSet.destroy": (
        "refused always",
        Scene(a_flag(active=True), lambda s, flag: s.api.delete(s.flags.url(flag))),
    ),
    "FeatureFlagViewSet.bulk_keys": (
        "reads",
        Scene(a_flag(active=True), lambda s, flag: s.post("feature_flags/bulk_keys/", ids=[flag["id"]])),
    ),
    "FeatureFlagViewSet.user_blast_radius": (
        "reads",
        Scene(nothing, lambda s, _: s.post("feature_flags/user_blast_radius/", condition={"properties": []})),
    ),
    "FeatureFlagViewSet.test_evaluation": (
        "reads",
        Scene(
            a_flag(active=True), lambda s, flag: s.api.post(s.flags.url(flag, "test_evaluation"), {"distinct_id": "a"})
        ),
    ),
    "ScheduledChangeViewSet.create": (
        "the gate is asked when the change is due",
        Scene(a_flag(), lambda s, flag: s.schedule(flag)),
    ),
    "ScheduledChangeViewSet.partial_update": (
        "the gate is asked when the change is due",
        Scene(
            a_schedule,
            lambda s, made: s.patch(f"scheduled_changes/{made['id']}/", scheduled_at="2031-01-01T00:00:00Z"),
        ),
    ),
    "ScheduledChangeViewSet.destroy": (
        "what is not done changes nothing",
        Scene(a_schedule, lambda s, made: s.delete(f"scheduled_changes/{made['id']}/")),
    ),
    "ExperimentViewSet.destroy": (
        "refused always",
        Scene(an_experiment("launch"), lambda s, made: s.api.delete(s.experiments.url(made))),
    ),
    "ExperimentViewSet.calculate_running_time": (
        "reads",
        Scene(
            nothing,
            lambda s, _: s.post(
                "experiments/calculate_running_time/",
                metric_type="mean_count",
                minimum_detectable_effect=5,
                baseline_value=4,
            ),
        ),
    ),
    "ExperimentViewSet.end": (
        "users keep their variants",
        Scene(an_experiment("launch"), lambda s, made: s.experiments.act(made, "end", conclusion="won")),
    ),
    "ExperimentViewSet.archive": (
        "a mark on the experiment",
        Scene(an_experiment("launch", "end"), lambda s, made: s.experiments.act(made, "archive")),
    ),
    "ExperimentViewSet.unarchive": (
        "a mark on the experiment",
        Scene(an_experiment("launch", "end", "archive"), lambda s, made: s.experiments.act(made, "unarchive")),
    ),
    "ExperimentViewSet.reset": (
        "the flag stays as it is, even switched on",
        Scene(an_experiment("launch"), lambda s, made: s.experiments.act(made, "reset")),
    ),
    "ExperimentViewSet.duplicate": (
        "a draft, whose flag is switched off or as it was",
        Scene(
            an_experiment("launch"), lambda s, made: s.experiments.act(made, "duplicate", feature_flag_key="new-key")
        ),
    ),
    "ExperimentViewSet.copy_to_project": (
        "a draft, whose flag is switched off or as it was",
        Scene(
            an_experiment("launch"),
            lambda s, made: s.experiments.act(made, "copy_to_project", target_team_id=s.other.pk),
        ),
    ),
    "ExperimentViewSet.create_exposure_cohort_for_experiment": (
        "no flag has a condition on a cohort of events",
        Scene(
            an_experiment("launch"), lambda s, made: s.experiments.act(made, "create_exposure_cohort_for_experiment")
        ),
    ),
    "ExperimentViewSet.recalculate_timeseries": (
        "about analysis alone",
        Scene(
            an_experiment("launch", metrics=[PURCHASE]),
            lambda s, made: s.experiments.act(
                made,
                "recalculate_timeseries",
                metric=made["metrics"][0],
                fingerprint=made["metrics"][0]["fingerprint"],
            ),
        ),
    ),
    "ExperimentHoldoutViewSet.create": (
        "no experiment uses it yet",
        Scene(
            an_experiment("launch"),
            lambda s, _: s.post("experiment_holdouts/", name="New", filters=[{"rollout_percentage": 10}]),
        ),
    ),
    "ExperimentSavedMetricViewSet.create": (
        "about analysis alone",
        Scene(an_experiment("launch"), lambda s, _: s.post("experiment_saved_metrics/", name="Sold", query=PURCHASE)),
    ),
    "ExperimentSavedMetricViewSet.partial_update": (
        "about analysis alone",
        Scene(
            a_saved_metric,
            lambda s, made: s.patch(
                f"experiment_saved_metrics/{made['id']}/",
                query={**PURCHASE, "source": {"kind": "EventsNode", "event": "sold"}},
            ),
        ),
    ),
    "ExperimentSavedMetricViewSet.destroy": (
        "about analysis alone",
        Scene(a_saved_metric, lambda s, made: s.delete(f"experiment_saved_metrics/{made['id']}/")),
    ),
}
