"""Every route that writes is either gated, and proved to be, or named here with the reason why it need not be.

A new route fails until somebody has put it in one of the tables; so does an entry whose route is no more.
"""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.families import ACTION_KEYS
from approvals.models import ChangeRequest
from common.api.document import document
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from projects.services import create_project
from tests.approvals.conftest import Experiments, Flags, Json, MakePolicy, held_back, stored
from tests.approvals.routes import WriteRoute, write_routes
from tests.approvals.scenes import GATED, UNGATED, Stage
from tests.live_service import ROOT


@pytest.fixture
def stage(project: Project, api: APIClient, flags: Flags, experiments: Experiments) -> Stage:
    other, _ = create_project(organization=project.organization, name="Other")
    return Stage(project=project, other=other, api=api, flags=flags, experiments=experiments)


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


def test_openapi__the_409_of_gated_operations__tells_its_bodies_apart_by_code() -> None:
    codes = {
        (verb.upper(), path): set(body_schema(operation, "409")["discriminator"]["mapping"])
        for path, operations in document()["paths"].items()
        for verb, operation in operations.items()
        if isinstance(operation, dict) and "409" in operation.get("responses", {})
    }

    edited = (ROUTES["FeatureFlagViewSet.partial_update"].verb, ROUTES["FeatureFlagViewSet.partial_update"].path)
    held_back = {"approval_required", "change_request_pending"}
    assert codes == {
        key: held_back | ({"conflict"} if key == edited else set())
        for key in ((ROUTES[name].verb, ROUTES[name].path) for name in GATED)
    }


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


def body_schema(operation: Json, status: str) -> Json:
    schema: Json = operation["responses"][status]["content"]["application/json"]["schema"]
    return schema


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
