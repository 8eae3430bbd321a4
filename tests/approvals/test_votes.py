"""Votes and cancellations: who may, what they come to, and what is said when they cannot be taken."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals import decisions
from approvals.models import Approval, ApprovalPolicy, ChangeRequest
from approvals.tasks import keep_up_requests
from common.errors import Denied
from feature_flags.models import FeatureFlag
from projects import roles
from projects.models import Organization, OrganizationMembership, Project, User
from tests.approvals.conftest import Flags, Json, MakePolicy, Requests, held_back, stored
from tests.cast import ClientFor

NOT_PENDING = "Only pending change requests can be approved"
OWN = "You cannot approve your own change request"
NOT_IN_SET = "You are not in the approver set for this change request"
NOT_TO_CANCEL = "You cannot cancel this change request"
VOTED = "You have already voted on this change request."
NO_REASON = "A reason is required for rejection."


def denied(answer: Any, detail: str) -> None:
    assert answer.status_code == 403, answer.json()
    assert answer.json() == {
        "type": "authentication_error",
        "code": "permission_denied",
        "detail": detail,
        "attr": None,
        "error": detail,
    }


def refused(answer: Any, detail: str, *, code: str = "invalid_input", attr: str | None = None) -> None:
    assert answer.status_code == 400, answer.json()
    assert answer.json() == {"type": "validation_error", "code": code, "detail": detail, "attr": attr, "error": detail}


@pytest.fixture
def pending(flags: Flags, policy: MakePolicy) -> Callable[..., Json]:
    """`pending(quorum=2, ...)`: a request of the member to enable a flag, under a policy with these fields."""

    def make(**fields: Any) -> Json:
        flag = flags.made()
        policy("feature_flag.enable", **fields)
        return held_back(flags.act(flag, "enable"))

    return make


@pytest.fixture
def second(client_for: ClientFor, second_approver: User, project: Project) -> Requests:
    """The change requests as a second approver sees them."""
    return Requests(client_for(second_approver), project)


def active() -> bool:
    return FeatureFlag.objects.get().active


# --- Approve ---------------------------------------------------------------------------------------------------------


def test_approve__below_the_quorum__recorded_only(
    pending: Callable[..., Json], requests: Requests, approver: User, second_approver: User
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])

    decided = requests.post(request["id"], "approve", reason="Looks right").json()

    assert decided["status"] == "approved"
    assert decided["message"] == "Approval recorded. 1/2 approvals received."
    assert "result" not in decided
    shown = decided["change_request"]
    assert shown["state"] == "pending"
    assert [(vote["created_by"]["id"], vote["decision"], vote["reason"]) for vote in shown["approvals"]] == [
        (approver.pk, "approved", "Looks right")
    ]
    assert (shown["user_decision"], shown["can_approve"]) == ("approved", False)
    assert not active()


def test_approve__last_of_the_quorum__applies(
    pending: Callable[..., Json], requests: Requests, second: Requests, approver: User, second_approver: User
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])
    requests.approved(request["id"])

    decided = second.approved(request["id"])

    assert decided["status"] == "applied"
    assert decided["change_request"]["state"] == "applied"
    assert decided["change_request"]["applied_by"] == request["created_by"]
    assert decided["result"] == decided["change_request"]["result_data"]
    assert active()


def test_approve__by_role(
    pending: Callable[..., Json], requests: Requests, organization: Organization, approver: User
) -> None:
    role = roles.create_role(organization=organization, name="Gatekeepers", user=None)
    request = pending(users=[], roles=[str(role.pk)])

    assert requests.read(request["id"])["can_approve"] is False
    denied(requests.post(request["id"], "approve"), NOT_IN_SET)
    roles.add_to_role(role=role, user_uuid=approver.uuid)
    assert requests.read(request["id"])["can_approve"] is True
    assert requests.approved(request["id"])["status"] == "applied"
    assert active()


def test_approve__not_in_the_set__neither_owner_nor_another_role(
    pending: Callable[..., Json], owner_api: APIClient, project: Project, organization: Organization, owner: User
) -> None:
    roles.add_to_role(role=roles.create_role(organization=organization, name="Others", user=None), user_uuid=owner.uuid)
    request = pending()
    before = stored()

    for act in ("approve", "reject"):
        denied(Requests(owner_api, project).post(request["id"], act, reason="No"), NOT_IN_SET)
    assert stored() == before


def test_approve__no_longer_a_member__no_longer_an_approver(
    pending: Callable[..., Json], policy: MakePolicy, project: Project, approver: User
) -> None:
    request = ChangeRequest.objects.get(pk=pending()["id"])
    OrganizationMembership.objects.filter(user=approver).delete()

    with pytest.raises(Denied, match=NOT_IN_SET):
        decisions.check_vote(request, user=approver)


def test_approve__own_request__refused_even_for_an_approver(
    pending: Callable[..., Json], own_requests: Requests, member: User
) -> None:
    request = pending(users=[member.pk])

    assert request["can_approve"] is False
    denied(own_requests.post(request["id"], "approve"), OWN)
    denied(own_requests.post(request["id"], "reject", reason="No"), OWN)


def test_approve__own_request__allowed_by_the_policy(
    pending: Callable[..., Json], own_requests: Requests, member: User
) -> None:
    request = pending(users=[member.pk], allow_self_approve=True)

    assert own_requests.approved(request["id"])["status"] == "applied"


def test_approve__own_request__self_approval_makes_no_approver(
    pending: Callable[..., Json], own_requests: Requests
) -> None:
    request = pending(allow_self_approve=True)

    denied(own_requests.post(request["id"], "approve"), NOT_IN_SET)


def test_approve__twice__refused(
    pending: Callable[..., Json], requests: Requests, approver: User, second_approver: User
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])
    requests.approved(request["id"])

    refused(requests.post(request["id"], "approve"), VOTED)
    refused(requests.post(request["id"], "reject"), VOTED)
    assert Approval.objects.count() == 1


def test_approve__rights_are_those_of_the_request__not_of_the_policy_now(
    pending: Callable[..., Json], requests: Requests, second_approver: User, second: Requests
) -> None:
    request = pending()
    ApprovalPolicy.objects.update(
        approver_config={"quorum": 5, "users": [second_approver.pk], "roles": []}, enabled=False
    )

    denied(second.post(request["id"], "approve"), NOT_IN_SET)
    assert requests.approved(request["id"])["status"] == "applied"


# --- Reject ----------------------------------------------------------------------------------------------------------


def test_reject__one_vote_suffices(
    pending: Callable[..., Json], requests: Requests, second: Requests, approver: User, second_approver: User
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])
    requests.approved(request["id"])

    decided = second.post(request["id"], "reject", reason="Too early").json()

    assert (decided["status"], decided["message"]) == ("rejected", "Change request rejected.")
    assert decided["change_request"]["state"] == "rejected"
    assert [vote["decision"] for vote in decided["change_request"]["approvals"]] == ["approved", "rejected"]
    assert not active()


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": None}])
def test_reject__without_a_reason__refused(pending: Callable[..., Json], requests: Requests, body: Json) -> None:
    request = pending()

    refused(requests.post(request["id"], "reject", **body), NO_REASON, code="required", attr="reason")
    assert not Approval.objects.exists()


def test_reject__reason_of_another_type__refused(pending: Callable[..., Json], requests: Requests) -> None:
    refused(requests.post(pending()["id"], "reject", reason=[1]), "Not a valid string.", attr="reason")


def test_rejected_change__may_be_requested_anew(pending: Callable[..., Json], requests: Requests, flags: Flags) -> None:
    request = pending()
    requests.post(request["id"], "reject", reason="Not now")

    again = held_back(flags.act({"id": request["intent"]["flag_id"]}, "enable"))

    assert again["id"] != request["id"]


# --- Cancel ----------------------------------------------------------------------------------------------------------


def test_cancel__by_the_requester(pending: Callable[..., Json], own_requests: Requests, member: User) -> None:
    request = pending()

    decided = own_requests.post(request["id"], "cancel").json()

    assert (decided["status"], decided["message"]) == ("canceled", "Change request canceled.")
    shown = decided["change_request"]
    assert shown["state"] == "rejected"
    assert [(vote["created_by"]["id"], vote["decision"], vote["reason"]) for vote in shown["approvals"]] == [
        (member.pk, "rejected", "Canceled by requester")
    ]
    assert shown["can_cancel"] is False
    assert not active()


def test_cancel__with_a_reason(pending: Callable[..., Json], own_requests: Requests) -> None:
    decided = own_requests.post(pending()["id"], "cancel", reason="Changed my mind").json()

    assert decided["change_request"]["approvals"][0]["reason"] == "Changed my mind"


def test_cancel__by_another__refused(pending: Callable[..., Json], requests: Requests) -> None:
    request = pending()

    assert requests.read(request["id"])["can_cancel"] is False
    denied(requests.post(request["id"], "cancel"), NOT_TO_CANCEL)


def test_cancel__once_somebody_approved__refused_until_it_is_stale(
    pending: Callable[..., Json],
    requests: Requests,
    own_requests: Requests,
    flags: Flags,
    approver: User,
    second_approver: User,
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])
    requests.approved(request["id"])

    denied(own_requests.post(request["id"], "cancel"), NOT_TO_CANCEL)
    flags.patch({"id": request["intent"]["flag_id"]}, name="Moved on")
    assert own_requests.read(request["id"])["can_cancel"] is True
    assert own_requests.post(request["id"], "cancel").json()["status"] == "canceled"


def test_cancel__own_approval__replaced_by_the_rejection(
    pending: Callable[..., Json], own_requests: Requests, flags: Flags, member: User, approver: User
) -> None:
    request = pending(quorum=2, users=[member.pk, approver.pk], allow_self_approve=True)
    own_requests.approved(request["id"])
    flags.patch({"id": request["intent"]["flag_id"]}, name="Moved on")

    shown = own_requests.post(request["id"], "cancel").json()["change_request"]

    assert [(vote["created_by"]["id"], vote["decision"]) for vote in shown["approvals"]] == [(member.pk, "rejected")]


# --- Not pending -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["applied", "rejected", "canceled", "expired"])
def test_not_pending__no_vote_and_no_cancellation(
    pending: Callable[..., Json], requests: Requests, own_requests: Requests, second: Requests, end: str
) -> None:
    request = pending()
    if end == "applied":
        requests.approved(request["id"])
    elif end == "rejected":
        requests.post(request["id"], "reject", reason="No")
    elif end == "canceled":
        own_requests.post(request["id"], "cancel")
    else:
        ChangeRequest.objects.update(expires_at=timezone.now())
    before = stored()

    denied(requests.post(request["id"], "approve"), NOT_PENDING)
    denied(second.post(request["id"], "reject", reason="No"), NOT_PENDING)
    denied(own_requests.post(request["id"], "approve"), NOT_PENDING)
    denied(own_requests.post(request["id"], "cancel"), NOT_TO_CANCEL)
    shown = requests.read(request["id"])
    assert (shown["can_approve"], shown["can_cancel"]) == (False, False)
    assert stored() == before


def test_expired__reads_so_at_once_and_blocks_nothing(
    pending: Callable[..., Json], requests: Requests, flags: Flags
) -> None:
    request = pending()
    ChangeRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert requests.read(request["id"])["state"] == "expired"
    assert [shown["id"] for shown in requests.list(state="expired").json()["results"]] == [request["id"]]
    assert requests.list(state="pending").json()["results"] == []
    again = held_back(flags.act({"id": request["intent"]["flag_id"]}, "enable"))
    assert again["id"] != request["id"]
    assert ChangeRequest.objects.get(pk=request["id"]).state == "expired"


def test_clock__writes_down_what_has_expired_and_what_is_stale(
    pending: Callable[..., Json], requests: Requests, flags: Flags
) -> None:
    request = pending()
    other = held_back(flags.act(flags.made(key="other"), "enable"))
    flags.patch({"id": other["intent"]["flag_id"]}, name="Moved on")
    ChangeRequest.objects.filter(pk=request["id"]).update(expires_at=timezone.now())

    assert keep_up_requests(timestamp=0) == 2
    assert keep_up_requests(timestamp=0) == 0

    expired, stale = (ChangeRequest.objects.get(pk=made["id"]) for made in (request, other))
    assert (expired.state, expired.validation_status) == ("expired", "valid")
    assert (stale.state, stale.validation_status) == ("pending", "stale")
    row = ActivityEntry.objects.filter(scope="ChangeRequest", item_id=request["id"]).latest("created_at")
    assert row.is_system
    assert requests.read(other["id"])["validation_status"] == "stale"


# --- Failing to apply ------------------------------------------------------------------------------------------------


def failed(decided: Json, why: str) -> None:
    assert decided["status"] == "failed"
    assert decided["message"] == f"Quorum reached but application failed: {why}"
    assert "result" not in decided
    assert decided["change_request"]["state"] == "failed"
    assert decided["change_request"]["apply_error"] == why
    assert [vote["decision"] for vote in decided["change_request"]["approvals"]] == ["approved"]


def test_flag_moved__stale_then_a_failed_precondition(
    pending: Callable[..., Json], requests: Requests, flags: Flags
) -> None:
    request = pending()
    flag = {"id": request["intent"]["flag_id"]}
    flags.patch(flag, name="Moved on")
    before = stored(besides_requests=True)

    shown = requests.read(request["id"])
    assert shown["validation_status"] == "stale"
    assert shown["validation_errors"] == {
        "staleness": "Resource has been modified since this change request was created"
    }
    assert shown["can_approve"] is True, "voting stays possible"
    decided = requests.approved(request["id"])

    failed(decided, "Precondition failed: The feature flag was changed since this change was requested.")
    assert stored(besides_requests=True) == before
    held_back(flags.act(flag, "enable"))


def test_flag_moved_but_is_as_wanted__applied(
    pending: Callable[..., Json], requests: Requests, flags: Flags, policy: MakePolicy
) -> None:
    request = pending()
    FeatureFlag.objects.update(active=True, version=7)

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied"
    assert decided["result"] == {"resource_id": request["resource_id"], "resource_version": 7}
    assert FeatureFlag.objects.get().version == 7


def test_requester_lost_access__failed_precondition(
    pending: Callable[..., Json], requests: Requests, member: User
) -> None:
    request = pending()
    OrganizationMembership.objects.filter(user=member).delete()

    decided = requests.approved(request["id"])

    failed(decided, "Precondition failed: The requester no longer has access to the project.")
    assert not active()


def test_requester_deleted__failed_precondition(pending: Callable[..., Json], requests: Requests, member: User) -> None:
    request = pending()
    member.delete()

    decided = requests.approved(request["id"])

    failed(decided, "Precondition failed: The requester no longer has access to the project.")
    assert decided["change_request"]["created_by"] is None


def test_flag_gone__failed_precondition(pending: Callable[..., Json], requests: Requests) -> None:
    request = pending()
    FeatureFlag.objects.all().delete()

    failed(requests.approved(request["id"]), "Precondition failed: It no longer exists.")


def test_rule_refuses_by_now__validation_failed(flags: Flags, policy: MakePolicy, requests: Requests) -> None:
    flag = flags.made()
    policy("feature_flag.enable")
    request = held_back(flags.patch(flag, active=True, key="wanted"))
    flags.made(key="wanted")

    decided = requests.approved(request["id"])

    failed(decided, "Validation failed: There is already a feature flag with this key.")
    shown = decided["change_request"]
    assert shown["validation_status"] == "invalid"
    assert shown["validation_errors"] == {"key": "There is already a feature flag with this key."}
    assert flags.read(flag) == flag


# --- Reading ---------------------------------------------------------------------------------------------------------


def test_list__newest_first_with_filters(
    pending: Callable[..., Json], requests: Requests, flags: Flags, member: User, approver: User
) -> None:
    first = pending()
    second = held_back(flags.act(flags.made(key="other"), "enable"))
    requests.post(first["id"], "reject", reason="No")

    def ids(**query: Any) -> list[str]:
        answer = requests.list(**query)
        assert answer.status_code == 200, answer.json()
        return [shown["id"] for shown in answer.json()["results"]]

    both = [second["id"], first["id"]]
    assert ids() == both
    assert ids(state="rejected,pending") == both
    assert ids(state="rejected") == [first["id"]]
    assert ids(state="pending,failed") == [second["id"]]
    assert ids(action_key="feature_flag.enable") == both
    assert ids(action_key="feature_flag.disable") == []
    assert ids(requester=member.pk) == both
    assert ids(requester=approver.pk) == []
    assert ids(resource_type="feature_flag", resource_id=first["resource_id"]) == [first["id"]]
    assert ids(limit=1, offset=1) == [first["id"]]


def test_list__unknown_state_and_requester_without_number__400(requests: Requests) -> None:
    refused(requests.list(state="pending,lost"), '"lost" is not a valid choice.', code="invalid_choice", attr="state")
    refused(requests.list(requester="me"), "A valid integer is required.", attr="requester")


def test_list__constant_number_of_queries(pending: Callable[..., Json], requests: Requests, flags: Flags) -> None:
    pending()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert requests.list().status_code == 200
        return len(captured)

    queries()  # a key's first request notes that it was used
    of_one = queries()
    for number in range(4):
        held_back(flags.act(flags.made(key=f"flag-{number}"), "enable"))
    assert queries() == of_one


def test_unknown_and_foreign__404(
    pending: Callable[..., Json], requests: Requests, outsider_api: APIClient, outsider: User, project: Project
) -> None:
    request = pending()
    foreign = f"/api/projects/{outsider.current_project_id}/change_requests/{request['id']}/"

    assert requests.get("nonsense").status_code == 404
    assert requests.get("00000000-0000-0000-0000-000000000000").status_code == 404
    assert requests.post("nonsense", "approve").json()["error"] == "Not found."
    assert outsider_api.get(foreign).status_code == 404
    assert outsider_api.post(f"{foreign}approve/").status_code == 404
    assert outsider_api.get(f"/api/projects/{project.pk}/change_requests/{request['id']}/").status_code == 403


def test_no_apply_endpoint(pending: Callable[..., Json], requests: Requests) -> None:
    assert requests.post(pending()["id"], "apply").status_code == 404


def test_scopes__reading_and_voting(
    pending: Callable[..., Json], client_for: ClientFor, approver: User, project: Project
) -> None:
    request = pending()
    reader = Requests(client_for(approver, scopes=["approvals:read"]), project)

    assert reader.get(request["id"]).status_code == 200
    answer = reader.post(request["id"], "approve")
    assert answer.json()["error"] == "API key missing required scope 'approvals:write'"
    writer = Requests(client_for(approver, scopes=["approvals:write"]), project)
    assert writer.approved(request["id"])["status"] == "applied", "no scope for flags is needed to approve"


def test_activity__made_voted_and_settled(
    pending: Callable[..., Json], requests: Requests, second: Requests, approver: User, second_approver: User
) -> None:
    request = pending(quorum=2, users=[approver.pk, second_approver.pk])
    requests.approved(request["id"])
    second.approved(request["id"])

    rows = list(ActivityEntry.objects.filter(scope="ChangeRequest", item_id=request["id"]).order_by("created_at"))

    assert [(row.activity, row.user_id) for row in rows] == [
        ("created", request["created_by"]["id"]),
        ("updated", approver.pk),
        ("updated", second_approver.pk),
    ]
    assert {row.detail["name"] for row in rows} == {"Enable feature flag 'a-flag'"}
    changed = {change["field"]: (change["before"], change["after"]) for change in rows[-1].detail["changes"]}
    assert changed["state"] == ("pending", "applied")
    assert [vote["user"] for vote in changed["approvals"][1]] == [approver.pk, second_approver.pk]


def test_activity__of_an_approval_that_cannot_be_applied__says_why(
    pending: Callable[..., Json], requests: Requests, flags: Flags, approver: User
) -> None:
    request = pending()
    flags.patch({"id": request["intent"]["flag_id"]}, name="Moved on")
    requests.approved(request["id"])

    row = ActivityEntry.objects.filter(scope="ChangeRequest").latest("created_at")

    changed = {change["field"]: change["after"] for change in row.detail["changes"]}
    assert (row.activity, row.user) == ("updated", approver)
    assert changed["state"] == "failed"
    assert changed["apply_error"] == (
        "Precondition failed: The feature flag was changed since this change was requested."
    )


@pytest.mark.parametrize("act", ["reject", "cancel"])
def test_activity__of_a_refusal__names_who_and_why(
    pending: Callable[..., Json], requests: Requests, own_requests: Requests, member: User, approver: User, act: str
) -> None:
    request = pending()
    caller, user = (requests, approver) if act == "reject" else (own_requests, member)
    assert caller.post(request["id"], act, reason="Not now").status_code == 200

    row = ActivityEntry.objects.filter(scope="ChangeRequest").latest("created_at")

    changed = {change["field"]: change["after"] for change in row.detail["changes"]}
    assert (row.activity, row.user, changed["state"]) == ("updated", user, "rejected")
    assert changed["approvals"] == [{"user": user.pk, "decision": "rejected", "reason": "Not now"}]
