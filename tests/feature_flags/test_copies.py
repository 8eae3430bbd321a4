"""Copying a flag into other projects of the organization."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from approvals.models import ApprovalPolicy, ChangeRequest
from cohorts.models import Cohort
from feature_flags.models import FeatureFlag, ScheduledChange
from projects.models import Level, Organization, Project, User
from projects.services import create_user
from tests.cast import error
from tests.feature_flags.conftest import CONTROL_AND_TEST, Flags, key_of
from tests.feature_flags.sdk.conftest import EVERYBODY, PRO


@pytest.fixture
def target(organization: Organization) -> Project:
    return Project.objects.create(organization=organization, name="Target")


class Copies:
    def __init__(self, flags: Flags, organization: Organization, source: Project) -> None:
        self.client: APIClient = flags.client
        self.path = f"/api/organizations/{organization.pk}/feature_flags/copy_flags/"
        self.source = source

    def post(self, body: dict[str, Any]) -> Any:
        return self.client.post(self.path, body)

    def made(self, key: str, *targets: Project, **options: Any) -> dict[str, Any]:
        ids = [target.pk for target in targets]
        body = {"feature_flag_key": key, "from_project": self.source.pk, "target_project_ids": ids}
        answer = self.post(body | options)
        assert answer.status_code == 200, answer.json()
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture
def copies(flags: Flags, organization: Organization, project: Project) -> Copies:
    return Copies(flags, organization, project)


def test_copy__is_a_flag_of_the_target(copies: Copies, flags: Flags, target: Project) -> None:
    filters = {
        "groups": [EVERYBODY],
        "multivariate": {"variants": CONTROL_AND_TEST},
        "payloads": {"test": "1"},
        "holdout": {"id": 3, "exclusion_percentage": 10},
    }
    flags.made(key="beta", name="Beta", filters=filters, tags=["a"], evaluation_runtime="server")
    answer = copies.made("beta", target)
    assert answer["failed"] == []
    copy = answer["success"][0]
    stored = FeatureFlag.objects.get(project=target)
    assert (copy["id"], copy["key"], copy["name"], copy["active"]) == (stored.pk, "beta", "Beta", True)
    assert (copy["tags"], copy["evaluation_runtime"], copy["version"]) == (["a"], "server", 1)
    assert copy["filters"] == {name: part for name, part in filters.items() if name != "holdout"}


def test_copy__disabled__is_off(copies: Copies, flags: Flags, target: Project) -> None:
    flags.made(key="beta", filters={"groups": [EVERYBODY]})
    assert copies.made("beta", target, disable_copied_flag=True)["success"][0]["active"] is False


def test_copy__of_a_flag_for_nobody__is_one_too(copies: Copies, flags: Flags, target: Project) -> None:
    flags.made(key="beta")
    assert copies.made("beta", target)["success"][0]["filters"]["groups"] == []


def test_live_flag_with_the_key__is_updated_and_keeps_its_holdout(
    copies: Copies, flags: Flags, target: Project, owner: User
) -> None:
    flags.made(key="beta", name="New", filters={"groups": [EVERYBODY]})
    there = Flags(target, key_of(owner))
    holdout = {"id": 3, "exclusion_percentage": 10}
    before = there.made(
        key="beta",
        name="Old",
        filters={
            "groups": [EVERYBODY | {"rollout_percentage": 1}],
            "multivariate": {"variants": CONTROL_AND_TEST},
            "holdout": holdout,
        },
    )
    copy = copies.made("beta", target)["success"][0]
    assert (copy["id"], copy["name"], copy["version"]) == (before["id"], "New", 2)
    assert copy["filters"] == {"groups": [EVERYBODY], "holdout": holdout}


def test_cohorts__are_matched_by_name_or_made_with_those_they_need(
    copies: Copies, flags: Flags, project: Project, target: Project
) -> None:
    def cohort(name: str, owner: Project, *values: Any, **columns: Any) -> Cohort:
        criteria = {"properties": {"type": "AND", "values": list(values)}}
        return Cohort.objects.create(project=owner, name=name, filters=criteria, **columns)

    def leaf(of: Cohort) -> dict[str, Any]:
        return {"key": "id", "type": "cohort", "value": of.pk}

    def member(of: Cohort) -> dict[str, Any]:
        return leaf(of) | {"operator": "in"}

    inner = cohort("Inner", project, PRO)
    outer = cohort("Outer", project, {"type": "OR", "values": [leaf(inner), PRO]})
    static = cohort("Static", project, is_static=True)
    known, there = cohort("Known", project, PRO), cohort("Known", target)
    properties = [member(outer), member(static), member(known)]
    flags.made(key="beta", filters={"groups": [{"properties": properties}]})

    copy = copies.made("beta", target)["success"][0]

    made = {one.name: one for one in Cohort.objects.filter(project=target)}
    assert made.keys() == {"Inner", "Outer", "Static", "Known"}
    assert made["Known"] == there
    assert made["Static"].is_static
    named = [one["value"] for one in copy["filters"]["groups"][0]["properties"]]
    assert named == [made["Outer"].pk, made["Static"].pk, there.pk]
    nested = made["Outer"].filters["properties"]["values"][0]["values"][0]
    assert nested["value"] == made["Inner"].pk


def test_dependency__is_found_by_its_key_or_fails_that_target_alone(
    copies: Copies, flags: Flags, organization: Organization, target: Project, owner: User
) -> None:
    base = flags.made(key="base", filters={"groups": [EVERYBODY]})
    asks = {"key": str(base["id"]), "type": "flag", "value": True, "operator": "flag_evaluates_to"}
    flags.made(key="beta", filters={"groups": [{"properties": [asks]}]})
    namesake = Flags(target, key_of(owner)).made(key="base", filters={"groups": [EVERYBODY]})
    bare = Project.objects.create(organization=organization, name="Bare")
    answer = copies.made("beta", bare, target)
    assert len(answer["success"]) == 1
    assert answer["success"][0]["filters"]["groups"][0]["properties"][0]["key"] == str(namesake["id"])
    assert answer["failed"] == [
        {
            "project_id": bare.pk,
            "error_message": "The flag 'base' that this one depends on does not exist in the project.",
        }
    ]
    assert not FeatureFlag.objects.filter(project=bare).exists()


def test_schedule__is_copied_when_wanted(copies: Copies, flags: Flags, target: Project, owner: User) -> None:
    made = flags.made(key="beta", filters={"groups": [EVERYBODY]})
    at = datetime(2030, 1, 1, tzinfo=UTC)
    for executed in (None, at):
        ScheduledChange.objects.create(
            project_id=copies.source.pk,
            record_id=str(made["id"]),
            model_name="FeatureFlag",
            payload={"operation": "update_status", "value": False},
            scheduled_at=at,
            begins_at=at,
            executed_at=executed,
            created_by=owner,
        )
    copies.made("beta", target)
    assert not ScheduledChange.objects.filter(project=target).exists()
    copy = copies.made("beta", target, copy_schedule=True)["success"][0]
    assert [change.record_id for change in ScheduledChange.objects.filter(project=target)] == [str(copy["id"])]


def test_targets__outside_the_organization_or_the_source_itself__fail(
    copies: Copies, flags: Flags, project: Project, target: Project
) -> None:
    flags.made(key="beta", filters={"groups": [EVERYBODY]})
    foreign = Project.objects.create(
        organization=Organization.objects.create(name="Elsewhere", slug="elsewhere"), name="Foreign"
    )
    answer = copies.made("beta", foreign, project, target)
    assert [row["project_id"] for row in answer["failed"]] == [foreign.pk, project.pk]
    assert len(answer["success"]) == 1
    assert not FeatureFlag.objects.filter(project=foreign).exists()


@pytest.mark.parametrize("missing", ["feature_flag_key", "from_project", "target_project_ids"])
def test_missing_field__is_told(copies: Copies, target: Project, missing: str) -> None:
    body = {"feature_flag_key": "beta", "from_project": copies.source.pk, "target_project_ids": [target.pk]}
    values: list[Any] = [None, "", []]
    for value in values:
        answer = copies.post(body | {missing: value})
        detail = "Missing required fields"
        assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail) | {"error": detail})


def test_unknown_flag__is_told(copies: Copies, flags: Flags, target: Project) -> None:
    made = flags.made(key="gone")
    flags.patch(made["id"], {"deleted": True})
    for key in ("gone", "unknown"):
        body = {"feature_flag_key": key, "from_project": copies.source.pk, "target_project_ids": [target.pk]}
        answer = copies.post(body)
        detail = "Feature flag to copy does not exist."
        assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail) | {"error": detail})


def test_too_many_targets__are_refused(copies: Copies, flags: Flags) -> None:
    flags.made(key="beta")
    body = {"feature_flag_key": "beta", "from_project": copies.source.pk, "target_project_ids": list(range(1, 52))}
    assert copies.post(body).status_code == 400


def test_reading_scope__does_not_suffice(copies: Copies, target: Project, owner: User) -> None:
    copies.client = APIClient(headers={"authorization": f"Bearer {key_of(owner, 'feature_flag:read')}"})
    assert copies.post({}).status_code == 403


def test_target_that_needs_approval__is_a_failure_and_a_request(
    copies: Copies, flags: Flags, organization: Organization, target: Project
) -> None:
    flags.made(key="beta", filters={"groups": [EVERYBODY]})
    ApprovalPolicy.objects.create(
        organization=organization,
        project=target,
        action_key="feature_flag.enable",
        approver_config={"quorum": 1, "users": [User.objects.create_user("ann@acme.test").pk], "roles": []},
    )
    answer = copies.made("beta", target)
    assert answer["success"] == []
    assert answer["failed"] == [
        {
            "project_id": target.pk,
            "error_message": "A change request has been created and is pending approval.",
        }
    ]
    assert not FeatureFlag.objects.filter(project=target).exists()
    assert ChangeRequest.objects.get().project == target


@pytest.fixture
def approver_api(organization: Organization, target: Project) -> APIClient:
    """Somebody whose consent the target needs for every change."""
    approver = create_user(email="ann@acme.test", password=None, level=Level.MEMBER, organization=organization)
    for key in ("feature_flag.enable", "feature_flag.disable", "feature_flag.update"):
        ApprovalPolicy.objects.create(
            organization=organization,
            project=target,
            action_key=key,
            approver_config={"quorum": 1, "users": [approver.pk], "roles": []},
        )
    return APIClient(headers={"authorization": f"Bearer {key_of(approver)}"})


def approved(client: APIClient, target: Project) -> Any:
    """The answer to the approval of the one request there is."""
    request = ChangeRequest.objects.get(state="pending")
    answer = client.post(f"/api/projects/{target.pk}/change_requests/{request.pk}/approve/")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_approved_copy__is_the_whole_copy_with_cohorts_and_schedule(
    copies: Copies, flags: Flags, target: Project, approver_api: APIClient, project: Project
) -> None:
    """A new flag that is switched on; its rollout needs nobody's consent here."""
    ApprovalPolicy.objects.filter(action_key="feature_flag.update").delete()
    cohort = Cohort.objects.create(
        project=project, name="Pros", filters={"properties": {"type": "OR", "values": [PRO]}}, version=1
    )
    member = {"key": "id", "type": "cohort", "value": cohort.pk}
    flag = flags.made(key="beta", filters={"groups": [{"properties": [member], "rollout_percentage": 100}]})
    ScheduledChange.objects.create(
        project=project,
        record_id=str(flag["id"]),
        model_name="FeatureFlag",
        payload={"operation": "update_status", "value": False},
        scheduled_at=datetime(2030, 1, 1, tzinfo=UTC),
        begins_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert copies.made("beta", target, copy_schedule=True)["success"] == []
    assert not Cohort.objects.filter(project=target).exists()

    decided = approved(approver_api, target)

    assert decided["status"] == "applied", decided
    copy = FeatureFlag.objects.get(project=target)
    its_cohort = Cohort.objects.get(project=target)
    assert (copy.key, copy.active, its_cohort.name) == ("beta", True, "Pros")
    assert copy.filters["groups"][0]["properties"][0]["value"] == its_cohort.pk
    assert ScheduledChange.objects.get(project=target).record_id == str(copy.pk)


def test_approved_copy_into_a_namesake__updates_it(
    copies: Copies, flags: Flags, target: Project, approver_api: APIClient
) -> None:
    flags.made(key="beta", name="New", filters={"groups": [EVERYBODY]})
    namesake = FeatureFlag.objects.create(project=target, key="beta", name="Old", filters={"groups": []}, active=True)
    assert copies.made("beta", target)["success"] == []

    decided = approved(approver_api, target)

    assert decided["result"] == {"resource_id": str(namesake.pk), "resource_version": 2}
    namesake.refresh_from_db()
    assert (namesake.name, namesake.filters["groups"][0]["rollout_percentage"]) == ("New", 100)


def test_copied_flag_changed_since__the_copy_fails_and_leaves_nothing(
    copies: Copies, flags: Flags, target: Project, approver_api: APIClient
) -> None:
    ApprovalPolicy.objects.filter(action_key="feature_flag.update").delete()
    flag = flags.made(key="beta", filters={"groups": [EVERYBODY]})
    copies.made("beta", target)
    flags.patch(flag["id"], {"name": "Other"})

    decided = approved(approver_api, target)

    why = "Precondition failed: The feature flag to be copied was changed since this change was requested."
    assert (decided["status"], decided["change_request"]["apply_error"]) == ("failed", why)
    assert not FeatureFlag.objects.filter(project=target).exists()
