"""Policies over REST, of a project and of an organization."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy
from projects import roles
from projects.models import Organization, Project, User
from projects.services import create_organization
from tests.approvals.conftest import Json
from tests.cast import ClientFor


@pytest.fixture(params=["project", "organization"])
def base(request: pytest.FixtureRequest, project: Project) -> str:
    """The policies of either owner: the rules are the same."""
    owners = {"project": f"projects/{project.pk}", "organization": f"organizations/{project.organization_id}"}
    return f"/api/{owners[request.param]}/approval_policies/"


LEVELS = "bypass_org_membership_levels"


def body(approver: User, **fields: Any) -> Json:
    return {
        "action_key": "feature_flag.enable",
        "approver_config": {"quorum": 1, "users": [approver.pk], "roles": []},
    } | fields


def refusal(detail: str, attr: str | None, code: str = "invalid_input") -> Json:
    return {"type": "validation_error", "code": code, "detail": detail, "attr": attr, "error": detail}


def test_create__defaults(owner_api: APIClient, base: str, approver: User) -> None:
    answer = owner_api.post(base, body(approver))

    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert made["created_by"]["email"] == "owner@example.com"
    varying = ("id", "created_by", "created_at", "updated_at")
    assert {name: value for name, value in made.items() if name not in varying} == {
        "action_key": "feature_flag.enable",
        "conditions": {},
        "approver_config": {"quorum": 1, "users": [approver.pk], "roles": []},
        "allow_self_approve": False,
        "enabled": True,
        "bypass_org_membership_levels": [],
        "bypass_roles": [],
        "expires_after": "14 00:00:00",
    }


def test_create__every_field_comes_back(
    owner_api: APIClient, base: str, organization: Organization, approver: User
) -> None:
    role = roles.create_role(organization=organization, name="Gatekeepers", user=None)
    sent = {
        "action_key": "experiment.update",
        "conditions": {"type": "change_amount", "field": "rollout_percentage", "operator": ">", "value": 20},
        "approver_config": {"quorum": 2, "users": [approver.pk], "roles": [str(role.pk)]},
        "allow_self_approve": True,
        "enabled": False,
        "bypass_org_membership_levels": [15],
        "bypass_roles": [str(role.pk)],
        "expires_after": "2 03:04:05",
    }

    made = owner_api.post(base, sent).json()

    assert {name: made[name] for name in sent} == sent
    assert owner_api.get(f"{base}{made['id']}/").json() == made
    assert ApprovalPolicy.objects.get(pk=made["id"]).expires_after == timedelta(days=2, hours=3, minutes=4, seconds=5)


@pytest.mark.parametrize(
    ("fields", "detail", "attr", "code"),
    [
        ({"action_key": "flag.enable"}, '"flag.enable" is not a valid choice.', "action_key", "invalid_choice"),
        ({"action_key": None}, "This field may not be null.", "action_key", "null"),
        ({"approver_config": {"quorum": 0, "users": []}}, "Quorum must be at least 1", "approver_config", None),
        ({"approver_config": {"quorum": 1, "users": [7, -1]}}, "Users do not exist: 7, -1", "approver_config", None),
        ({"approver_config": {"users": [2**70]}}, f"Users do not exist: {2**70}", "approver_config", None),
        ({"approver_config": {"roles": ["x"]}}, "Roles do not exist: x", "approver_config", None),
        ({"approver_config": {"users": ["a"]}}, "A valid integer is required.", "approver_config__users__0", None),
        ({"approver_config": []}, "Invalid data. Expected a dictionary, but got list.", None, None),
        ({"bypass_org_membership_levels": [8, "8"]}, "All membership levels must be integers", LEVELS, None),
        ({"bypass_org_membership_levels": [True]}, "All membership levels must be integers", LEVELS, None),
        ({"bypass_org_membership_levels": 8}, 'Expected a list of items but got type "int".', LEVELS, "not_a_list"),
        ({"bypass_roles": ["x"]}, "Roles do not exist: x", "bypass_roles", None),
        ({"conditions": []}, 'Expected a dictionary of items but got type "list".', "conditions", "not_a_dict"),
        ({"expires_after": "0 00:00:00"}, "Ensure this value is greater than 0:00:00.", "expires_after", "min_value"),
        ({"expires_after": "-1 00:00:00"}, "Ensure this value is greater than 0:00:00.", "expires_after", "min_value"),
        ({"enabled": "maybe"}, "Must be a valid boolean.", "enabled", None),
    ],
)
def test_create__refused(
    owner_api: APIClient,
    project: Project,
    approver: User,
    fields: Json,
    detail: str,
    attr: str | None,
    code: str | None,
) -> None:
    answer = owner_api.post(f"/api/projects/{project.pk}/approval_policies/", body(approver, **fields))

    assert answer.status_code == 400
    expected_attr = "approver_config__non_field_errors" if attr is None else attr
    assert answer.json() == refusal(detail, expected_attr, code or "invalid_input")
    assert not ApprovalPolicy.objects.exists()


@pytest.mark.parametrize("missing", ["action_key", "approver_config"])
def test_create__required_fields(owner_api: APIClient, base: str, approver: User, missing: str) -> None:
    sent = {name: value for name, value in body(approver).items() if name != missing}

    assert owner_api.post(base, sent).json() == refusal("This field is required.", missing, "required")


@pytest.mark.parametrize("text", ["999999999 00:00:00", "99999999999999999999 00:00:00", "soon"])
def test_create__expiry_beyond_every_calendar__400(owner_api: APIClient, base: str, approver: User, text: str) -> None:
    answer = owner_api.post(base, body(approver, expires_after=text))

    assert answer.status_code == 400
    assert answer.json()["attr"] == "expires_after"


def test_create__approvers_of_another_organization__do_not_exist(
    owner_api: APIClient, base: str, approver: User, outsider: User
) -> None:
    foreign = roles.create_role(organization=create_organization(name="Beyond"), name="Foreign", user=None)

    by_user = owner_api.post(base, body(approver, approver_config={"users": [outsider.pk]}))
    by_role = owner_api.post(base, body(approver, approver_config={"roles": [str(foreign.pk)]}))
    bypass = owner_api.post(base, body(approver, bypass_roles=[str(foreign.pk)]))

    assert by_user.json() == refusal(f"Users do not exist: {outsider.pk}", "approver_config")
    assert by_role.json() == refusal(f"Roles do not exist: {foreign.pk}", "approver_config")
    assert bypass.json() == refusal("Roles must belong to the same organization: Foreign", "bypass_roles")


def test_create__second_policy_for_the_key__refused(owner_api: APIClient, base: str, approver: User) -> None:
    owner_api.post(base, body(approver))

    again = owner_api.post(base, body(approver))

    detail = "A policy for this action already exists. You can edit the existing policy instead."
    assert again.status_code == 400
    assert again.json() == refusal(detail, "action_key")
    assert ApprovalPolicy.objects.count() == 1


def test_update__to_the_key_of_another_policy__refused(owner_api: APIClient, base: str, approver: User) -> None:
    owner_api.post(base, body(approver))
    other = owner_api.post(base, body(approver, action_key="feature_flag.disable")).json()

    answer = owner_api.patch(f"{base}{other['id']}/", {"action_key": "feature_flag.enable"})

    assert answer.status_code == 400
    assert answer.json()["attr"] == "action_key"


def test_project_and_organization__may_have_the_same_key(
    owner_api: APIClient, project: Project, approver: User
) -> None:
    urls = [
        f"/api/projects/{project.pk}/approval_policies/",
        f"/api/organizations/{project.organization_id}/approval_policies/",
    ]

    for url in urls:
        assert owner_api.post(url, body(approver)).status_code == 201
    for url in urls:
        assert owner_api.get(url).json()["count"] == 1


def test_update__only_what_is_sent(owner_api: APIClient, base: str, approver: User) -> None:
    made = owner_api.post(base, body(approver)).json()

    changed = owner_api.patch(f"{base}{made['id']}/", {"enabled": False}).json()

    assert changed["enabled"] is False
    assert changed | {"enabled": True, "updated_at": made["updated_at"]} == made


def test_delete__gone(owner_api: APIClient, base: str, approver: User) -> None:
    made = owner_api.post(base, body(approver)).json()

    answer = owner_api.delete(f"{base}{made['id']}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert owner_api.get(f"{base}{made['id']}/").status_code == 404


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"action_key": "feature_flag.disable"}, ["feature_flag.disable"]),
        ({"enabled": "false"}, ["feature_flag.disable"]),
        ({"enabled": "true"}, ["feature_flag.enable"]),
        ({"enabled": ""}, ["feature_flag.disable", "feature_flag.enable"]),
        ({"action_key": "experiment.pause"}, []),
    ],
)
def test_list__filters(owner_api: APIClient, base: str, approver: User, query: Json, keys: list[str]) -> None:
    owner_api.post(base, body(approver))
    owner_api.post(base, body(approver, action_key="feature_flag.disable", enabled=False))

    assert [shown["action_key"] for shown in owner_api.get(base, query).json()["results"]] == keys


def test_list__enabled_neither_true_nor_false__400(owner_api: APIClient, base: str) -> None:
    answer = owner_api.get(base, {"enabled": "perhaps"})

    assert answer.status_code == 400
    assert answer.json() == refusal("Must be a valid boolean.", "enabled")


def test_member__reads_and_does_not_write(api: APIClient, owner_api: APIClient, base: str, approver: User) -> None:
    made = owner_api.post(base, body(approver)).json()
    detail = "Your organization access level is insufficient."

    assert api.get(base).json()["count"] == 1
    assert api.get(f"{base}{made['id']}/").json() == made
    for answer in (
        api.post(base, body(approver, action_key="experiment.pause")),
        api.patch(f"{base}{made['id']}/", {"enabled": False}),
        api.delete(f"{base}{made['id']}/"),
    ):
        assert answer.status_code == 403
        assert answer.json() == {
            "type": "authentication_error",
            "code": "permission_denied",
            "detail": detail,
            "attr": None,
            "error": detail,
        }
    assert ApprovalPolicy.objects.get().enabled


def test_policies_of_others__missing(
    owner_api: APIClient, outsider_api: APIClient, project: Project, outsider: User, approver: User
) -> None:
    made = owner_api.post(f"/api/projects/{project.pk}/approval_policies/", body(approver)).json()
    foreign = f"/api/projects/{outsider.current_project_id}/approval_policies/"
    elsewhere = f"/api/organizations/{project.organization_id}/approval_policies/"

    assert outsider_api.get(f"{foreign}{made['id']}/").status_code == 404
    assert outsider_api.get(elsewhere).status_code == 404
    assert owner_api.get(f"{elsewhere}{made['id']}/").status_code == 404, "a project's is not the organization's"


@pytest.mark.parametrize(("scope", "reads", "writes"), [("approvals:read", 200, 403), ("approvals:write", 200, 201)])
def test_scopes(
    client_for: ClientFor, owner: User, project: Project, approver: User, scope: str, reads: int, writes: int
) -> None:
    client = client_for(owner, scopes=[scope])
    base = f"/api/projects/{project.pk}/approval_policies/"

    assert client.get(base).status_code == reads
    assert client.post(base, body(approver)).status_code == writes
    assert client_for(owner, scopes=["feature_flag:write"]).get(base).status_code == 403


def test_activity__created_updated_deleted_and_nothing_for_nothing(
    owner_api: APIClient, project: Project, approver: User
) -> None:
    base = f"/api/projects/{project.pk}/approval_policies/"
    made = owner_api.post(base, body(approver)).json()
    owner_api.patch(f"{base}{made['id']}/", {"enabled": True})
    owner_api.patch(f"{base}{made['id']}/", {"enabled": False})
    owner_api.delete(f"{base}{made['id']}/")

    rows = ActivityEntry.objects.filter(scope="ApprovalPolicy", item_id=made["id"]).order_by("created_at")

    assert [row.activity for row in rows] == ["created", "updated", "deleted"]
    assert {row.project_id for row in rows} == {project.pk}
    assert rows[1].detail["changes"] == [
        {"type": "ApprovalPolicy", "action": "changed", "field": "enabled", "before": True, "after": False}
    ]


def test_activity__of_an_organization_wide_policy__names_the_organization(
    owner_api: APIClient, project: Project, approver: User
) -> None:
    owner_api.post(f"/api/organizations/{project.organization_id}/approval_policies/", body(approver))

    row = ActivityEntry.objects.get(scope="ApprovalPolicy")

    assert (row.project_id, row.organization_id) == (None, project.organization_id)
