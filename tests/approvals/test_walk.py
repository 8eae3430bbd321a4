"""Every route that writes is either gated, and proved to be, or named here with the reason why it need not be.

A new route fails until somebody has put it in one of the tables; so does an entry whose route is no more.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.families import ACTION_KEYS
from approvals.models import ChangeRequest
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from projects.services import create_project
from tests.approvals.conftest import Experiments, Flags, Json, MakePolicy, held_back, stored
from tests.approvals.routes import WriteRoute, write_routes
from tests.live_service import ROOT

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


@pytest.fixture
def stage(project: Project, api: APIClient, flags: Flags, experiments: Experiments) -> Stage:
    other, _ = create_project(organization=project.organization, name="Other")
    return Stage(project=project, other=other, api=api, flags=flags, experiments=experiments)


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

# --- Those that have no way to a flag ------------------------------------------------------------------------------

_ACCOUNTS = "accounts, not flags"
_READS = "answers what is there"
_EVENTS = "stores events and persons; what flags say of these is what their conditions were approved to say"
ELSEWHERE: dict[str, tuple[str, str]] = {
    "livez": ("any", _READS),
    "readyz": ("any", _READS),
    "landing": ("any", _READS),
    "experiment_list": ("any", _READS),
    "experiment_page": ("any", "computes results anew, and writes nothing but these"),
    "endpoint_not_found": ("any", _READS),
    "flags": ("any", _READS),
    "decide": ("any", _READS),
    "definitions": ("any", _READS),
    "config": ("any", _READS),
    "config_script": ("any", _READS),
    "surveys_script": ("any", _READS),
    "no_icon": ("any", _READS),
    "QueryViewSet": ("create", "computes results, and writes nothing but these"),
    "every": ("any", _READS),
    "one": ("any", _READS),
    "SignInView": ("post put", _ACCOUNTS),
    "SignOutView": ("post", _ACCOUNTS),
    "UserViewSet": ("partial_update", _ACCOUNTS),
    "OrganizationsViewSet": ("partial_update", _ACCOUNTS),
    "MemberViewSet": ("partial_update destroy", _ACCOUNTS),
    "RoleViewSet": ("create partial_update destroy", _ACCOUNTS),
    "RoleMembershipViewSet": ("create destroy", _ACCOUNTS),
    "PersonalAPIKeyViewSet": ("create partial_update destroy roll", _ACCOUNTS),
    "ProjectSecretAPIKeyViewSet": ("create partial_update destroy roll", _ACCOUNTS),
    "ProjectsViewSet": (
        "partial_update rotate_secret_token delete_secret_token_backup reset_token",
        "settings and tokens: who may ask, not what flags answer",
    ),
    "OrganizationProjectViewSet": (
        "create partial_update destroy",
        "a deleted project is gone with its flags and whatever was pending for them",
    ),
    "batch": ("any", _EVENTS),
    "capture": ("any", _EVENTS),
    "engage": ("any", _EVENTS),
    "PersonViewSet": ("destroy bulk_delete", _EVENTS),
    "ActionViewSet": ("create partial_update destroy", "about analysis alone"),
    "CohortViewSet": (
        "create partial_update destroy add_persons_to_static_cohort remove_person_from_static_cohort",
        "says who somebody is, not what a flag does about it; a cohort that flags use cannot be deleted",
    ),
    "ProjectPolicyViewSet": ("create partial_update destroy", "says what is asked for, for admins only"),
    "OrganizationPolicyViewSet": ("create partial_update destroy", "says what is asked for, for admins only"),
    "ChangeRequestViewSet": ("approve reject cancel", "is what the gate leads to"),
    "OrganizationFlagViewSet": (
        "copy_flags",
        "asks the gate of each target for itself and lists those that hold it back; see tests/approvals/test_copies.py",
    ),
}

ROUTES = {f"{route.view}.{route.name}": route for route in write_routes()}


def test_walk__finds_what_there_is() -> None:
    assert len(ROUTES) > 80
    assert {"batch.any", "ExperimentViewSet.launch", "RoleViewSet.destroy", "SignInView.post"} <= set(ROUTES)


def test_every_write_route__is_named_once_and_no_other() -> None:
    named = [*GATED, *UNGATED, *(f"{view}.{name}" for view, (names, _) in ELSEWHERE.items() for name in names.split())]

    assert sorted(named) == sorted(ROUTES)


def test_gated_actions__declared_by_the_views__are_those_that_are_proved() -> None:
    declared = {
        f"{route.view}.{action}" for route in ROUTES.values() for action in getattr(route.cls, "gated_actions", ())
    }

    assert declared == set(GATED)


@pytest.mark.parametrize("name", sorted(GATED))
def test_gated_route__held_back_and_nothing_else_is_written(
    stage: Stage, policy: MakePolicy, member: User, approver: User, name: str
) -> None:
    there = GATED[name].there(stage)
    for key in ACTION_KEYS:
        policy(key)
    before = stored(besides_requests=True)

    answer = GATED[name].asked(stage, there)

    assert stored(besides_requests=True) == before
    request = held_back(answer)
    row = ActivityEntry.objects.get(scope="ChangeRequest")
    assert [str(made.pk) for made in ChangeRequest.objects.all()] == [request["id"]]
    assert (row.item_id, row.activity, row.user) == (request["id"], "created", member)
    message = "A change request has been created and is pending approval."
    shown = {name: value for name, value in answer.json().items() if name != "change_request"}
    assert shown == {
        "code": "approval_required",
        "status": "approval_required",
        "detail": message,
        "message": message,
        "resource_type": request["resource_type"],
        "resource_id": request["resource_id"],
        "change_request_id": request["id"],
        "required_approvers": {"users": [approver.pk], "roles": [], "quorum": 1},
    }


@pytest.mark.parametrize("name", sorted(GATED))
def test_gated_route__without_a_policy__goes_through(stage: Stage, name: str) -> None:
    there = GATED[name].there(stage)
    before = stored()["feature_flags_featureflag"]

    answer = GATED[name].asked(stage, there)

    assert answer.status_code in (200, 201, 204), answer.content
    assert stored()["feature_flags_featureflag"] != before, "fixture: a gated write reaches the flag"


@pytest.mark.parametrize("name", sorted(UNGATED))
def test_ungated_route__under_all_policies__changes_nothing_that_is_served(
    stage: Stage, policy: MakePolicy, name: str
) -> None:
    _, scene = UNGATED[name]
    there = scene.there(stage)
    for key in ACTION_KEYS:
        policy(key)
    before = served()

    answer = scene.asked(stage, there)

    assert answer.status_code in ((405,) if name.endswith(".destroy") else ()) + (200, 201, 204), answer.content
    assert served() == before
    assert not ChangeRequest.objects.exists()


def served() -> list[Any]:
    """What can be evaluated to anything: live flags that are switched on, with all that decides about them."""
    return list(FeatureFlag.objects.filter(active=True, deleted=False).order_by("pk").values())


# --- The admin site ------------------------------------------------------------------------------------------------


def test_admin_site__has_no_page_that_writes_flags_or_experiments() -> None:
    """Its pages are those of accounts, and of the queue of background jobs, which can only be read."""
    registered = {model._meta.label for model in admin.site._registry}
    inline = {inline.model._meta.label for page in admin.site._registry.values() for inline in page.inlines}

    gated = {
        model
        for name in ("approvals", "experiments", "feature_flags")
        for model in apps.get_app_config(name).get_models()
    }
    assert not {model._meta.label for model in gated} & (registered | inline)
    assert {label.partition(".")[0] for label in registered | inline} == {"procrastinate", "projects"}


# --- What users are told -------------------------------------------------------------------------------------------


def test_document__lists_the_gated_routes() -> None:
    text = (ROOT / "docs" / "how-to" / "approvals.md").read_text()

    told = re.findall(r"^\| `([A-Z]+) (/api/[^`]+)` \|", text, re.MULTILINE)

    gated: list[WriteRoute] = [ROUTES[name] for name in (*GATED, "OrganizationFlagViewSet.copy_flags")]
    assert sorted(told) == sorted((route.verb, route.path) for route in gated)
