"""The gate in front of the flag routes: what is held back, what that answers, and what an approval does."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from approvals.gate import ApprovalRequired
from approvals.models import ChangeRequest
from approvals.requests import file
from feature_flags import services
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.approvals.conftest import Flags, Json, MakePolicy, Requests, held_back, rollout, split, stored


def test_enable__held_back__the_documented_answer(
    flags: Flags, policy: MakePolicy, member: User, approver: User, own_requests: Requests
) -> None:
    flag = flags.made()
    policy("feature_flag.enable", quorum=2)

    answer = flags.act(flag, "enable")

    shown = answer.json()
    request = ChangeRequest.objects.get()
    message = "A change request has been created and is pending approval."
    assert answer.status_code == 409
    assert list(shown) == [
        "code",
        "status",
        "detail",
        "message",
        "resource_type",
        "resource_id",
        "change_request_id",
        "change_request",
        "required_approvers",
    ]
    assert shown["change_request"] == own_requests.read(request.pk)
    assert {name: value for name, value in shown.items() if name != "change_request"} == {
        "code": "approval_required",
        "status": "approval_required",
        "detail": message,
        "message": message,
        "resource_type": "feature_flag",
        "resource_id": str(flag["id"]),
        "change_request_id": str(request.pk),
        "required_approvers": {"users": [approver.pk], "roles": [], "quorum": 2},
    }


def test_enable__held_back__the_request(flags: Flags, policy: MakePolicy, member: User, approver: User) -> None:
    flag = flags.made()
    policy("feature_flag.enable", conditions={"type": "any_change", "field": "active"})

    request = held_back(flags.act(flag, "enable"))

    assert request["created_by"]["id"] == member.pk
    varying = ("id", "created_by", "created_at", "updated_at", "expires_at", "validated_at")
    assert {name: value for name, value in request.items() if name not in varying} == {
        "action_key": "feature_flag.enable",
        "action_version": 1,
        "resource_type": "feature_flag",
        "resource_id": str(flag["id"]),
        "intent": {
            "act": "enable",
            "http_method": "POST",
            "flag_id": flag["id"],
            "flag_key": "a-flag",
            "experiment_id": None,
            "experiment_name": None,
            "current_state": {"active": False},
            "gated_changes": {"active": True},
            "triggered_paths": ["active"],
            "full_request_data": {"active": True},
            "preconditions": {"version": 1, "updated_at": flag["updated_at"]},
        },
        "intent_display": {
            "description": "Enable feature flag 'a-flag'",
            "before": {"active": False},
            "after": {"active": True},
        },
        "policy_snapshot": {
            "quorum": 1,
            "users": [approver.pk],
            "roles": [],
            "allow_self_approve": False,
            "conditions": {"type": "any_change", "field": "active"},
            "bypass_org_membership_levels": [],
            "bypass_roles": [],
        },
        "state": "pending",
        "validation_status": "valid",
        "validation_errors": None,
        "applied_by": None,
        "applied_at": None,
        "apply_error": "",
        "result_data": None,
        "approvals": [],
        "can_approve": False,
        "can_cancel": True,
        "is_requester": True,
        "user_decision": None,
    }


def test_enable__pending_already__says_so_and_stores_nothing(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    policy("feature_flag.enable")
    pending = held_back(flags.act(flag, "enable"))
    before = stored()

    answer = flags.patch(flag, active=True)

    message = "A pending approval request already exists for this action"
    assert answer.status_code == 409
    assert answer.json() == {
        "code": "change_request_pending",
        "status": "approval_required",
        "detail": message,
        "message": message,
        "resource_type": "feature_flag",
        "resource_id": str(flag["id"]),
        "change_request_id": pending["id"],
        "change_request": pending,
        "required_approvers": {},
    }
    assert stored() == before


def test_requester_is_an_approver_who_may_not_approve_own__message_names_others(
    flags: Flags, policy: MakePolicy, member: User
) -> None:
    flag = flags.made()
    policy("feature_flag.enable", users=[member.pk])

    answer = flags.act(flag, "enable").json()

    assert answer["message"] == "A change request has been created and is pending approval from others."
    assert answer["detail"] == answer["message"]


def test_requester_may_approve_own__plain_message(flags: Flags, policy: MakePolicy, member: User) -> None:
    flag = flags.made()
    policy("feature_flag.enable", users=[member.pk], allow_self_approve=True)

    answer = flags.act(flag, "enable").json()

    assert answer["message"] == "A change request has been created and is pending approval."
    assert answer["change_request"]["can_approve"] is True


Try = Any
ACTIVE = {"active": True}
# A flag, the key of the one policy, a write, and whether the gate holds it back.
WRITES: list[Any] = [
    ({}, "feature_flag.enable", lambda f, flag: f.act(flag, "enable"), True),
    ({}, "feature_flag.enable", lambda f, flag: f.patch(flag, active=True), True),
    ({}, "feature_flag.enable", lambda f, flag: f.post(key="new"), True),
    ({}, "feature_flag.enable", lambda f, flag: f.post(key="new", active=True), True),
    ({}, "feature_flag.enable", lambda f, flag: f.post(key="new", active=False), False),
    ({}, "feature_flag.enable", lambda f, flag: f.act(flag, "disable"), False),
    ({}, "feature_flag.enable", lambda f, flag: f.patch(flag, name="Other"), False),
    (ACTIVE, "feature_flag.enable", lambda f, flag: f.act(flag, "enable"), False),
    (ACTIVE, "feature_flag.enable", lambda f, flag: f.patch(flag, active=True, name="Other"), False),
    (ACTIVE, "feature_flag.disable", lambda f, flag: f.act(flag, "disable"), True),
    (ACTIVE, "feature_flag.disable", lambda f, flag: f.act(flag, "archive"), True),
    (ACTIVE, "feature_flag.disable", lambda f, flag: f.patch(flag, active=False), True),
    (ACTIVE, "feature_flag.disable", lambda f, flag: f.patch(flag, archived=True, active=False), True),
    ({}, "feature_flag.disable", lambda f, flag: f.act(flag, "archive"), False),
    ({}, "feature_flag.disable", lambda f, flag: f.patch(flag, archived=True), False),
    ({}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=rollout(50)), True),
    ({"filters": rollout(50)}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=rollout(50.0)), False),
    ({"filters": rollout(100)}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=rollout(None)), False),
    ({"filters": rollout(50)}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=rollout(50, 10)), True),
    ({"filters": rollout(50, 10)}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=rollout(50)), True),
    ({"filters": rollout(50)}, "feature_flag.update", lambda f, flag: f.patch(flag, filters=split(50, 50)), True),
    (
        {"filters": rollout(50, **split(50, 50))},
        "feature_flag.update",
        lambda f, flag: f.patch(flag, filters=split(60, 40)),
        True,
    ),
    (
        {"filters": rollout(50, **split(50, 50))},
        "feature_flag.update",
        lambda f, flag: f.patch(flag, filters={"payloads": {"test": "1"}}),
        False,
    ),
    (
        {"filters": rollout(50)},
        "feature_flag.update",
        lambda f, flag: f.patch(flag, filters={"holdout": {"id": 1, "exclusion_percentage": 10}}),
        True,
    ),
    ({}, "feature_flag.update", lambda f, flag: f.post(key="new", active=False, filters=rollout(0)), True),
    ({}, "feature_flag.update", lambda f, flag: f.post(key="new", active=True), False),
    ({}, "feature_flag.update", lambda f, flag: f.act(flag, "enable"), False),
    ({}, "feature_flag.update", lambda f, flag: f.patch(flag, key="renamed", tags=["a"]), False),
    (ACTIVE, "feature_flag.disable", lambda f, flag: f.patch(flag, deleted=True), False),
    # Policies about experiments do not concern a flag that none uses.
    ({}, "experiment.launch", lambda f, flag: f.act(flag, "enable"), False),
    (ACTIVE, "experiment.pause", lambda f, flag: f.act(flag, "disable"), False),
    ({}, "experiment.update", lambda f, flag: f.patch(flag, filters=rollout(50)), False),
    ({}, "experiment.launch", lambda f, flag: f.post(key="new"), False),
]


@pytest.mark.parametrize(("fields", "key", "write", "is_held_back"), WRITES)
def test_gate__trips_exactly_on_what_users_see(
    flags: Flags, policy: MakePolicy, fields: Json, key: str, write: Try, is_held_back: bool
) -> None:
    flag = flags.made(**fields)
    policy(key)
    before = stored(besides_requests=True)

    answer = write(flags, flag)

    if is_held_back:
        held_back(answer)
        assert stored(besides_requests=True) == before
    else:
        assert answer.status_code in (200, 201), answer.json()
        assert not ChangeRequest.objects.exists()


def test_invalid_change__refused_and_no_request(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    policy("feature_flag.enable")
    policy("feature_flag.update")

    answers = [
        flags.post(key="a-flag"),
        flags.post(key="bad key"),
        flags.patch(flag, active=True, filters=rollout(101)),
        flags.patch(flag, active=True, archived=True),
        flags.client.patch(flags.url({"id": 999}), {"active": True}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 404]
    assert not ChangeRequest.objects.exists()


def test_edit_conflict__comes_before_the_gate(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    flags.patch(flag, name="Changed meanwhile")
    policy("feature_flag.enable")

    answer = flags.patch(flag, active=True, name="Mine", version=1, original_flag=flag)

    assert answer.status_code == 409
    assert answer.json()["code"] == "conflict"
    assert not ChangeRequest.objects.exists()


def test_two_families__policy_conflict_and_nothing_stored(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    enable, update = policy("feature_flag.enable"), policy("feature_flag.update")
    before = stored()

    answer = flags.patch(flag, active=True, filters=rollout(50))

    detail = "This change requires approval under multiple policies"
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "policy_conflict",
        "detail": detail,
        "attr": None,
        "error": detail,
        "conflicting_policies": [
            {"id": str(found.pk), "name": found.action_key, "action_key": found.action_key}
            for found in (enable, update)
        ],
        "guidance": "Split your changes into separate API calls to address each policy independently",
    }
    assert stored() == before


def test_two_families__one_of_them_without_its_conditions__the_other_decides(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made()
    policy("feature_flag.enable")
    policy(
        "feature_flag.update",
        conditions={"type": "before_after", "field": "rollout_percentage", "operator": ">", "value": 50},
    )

    request = held_back(flags.patch(flag, active=True, filters=rollout(50)))

    assert request["action_key"] == "feature_flag.enable"
    assert request["intent"]["full_request_data"] == {"active": True, "filters": rollout(50)}


def test_update__the_request_shows_the_paths(flags: Flags, policy: MakePolicy) -> None:
    flag = flags.made(filters=rollout(10, 20, **split(50, 50)))
    policy("feature_flag.update")

    intent = held_back(flags.patch(flag, filters=rollout(10, **split(30, 70))))["intent"]

    paths = [
        "multivariate.variants[0].rollout_percentage",
        "multivariate.variants[1].rollout_percentage",
        "groups[1].rollout_percentage",
    ]
    assert intent["act"] == "update"
    assert intent["http_method"] == "PATCH"
    assert intent["triggered_paths"] == paths
    assert intent["current_state"]["rollout_percentage"] == [
        {"path": path, "value": value} for path, value in zip(paths, (50, 50, 20), strict=True)
    ]
    assert intent["gated_changes"]["rollout_percentage"] == [
        {"path": path, "value": value} for path, value in zip(paths, (30, 70, None), strict=True)
    ]


def test_create__held_back__the_request_names_the_key_and_blocks_it(flags: Flags, policy: MakePolicy) -> None:
    policy("feature_flag.enable")

    request = held_back(flags.post(key="new", filters=rollout(50), name="New"))

    assert request["resource_id"] is None
    assert request["intent"]["flag_id"] is None
    assert request["intent"]["flag_key"] == "new"
    assert request["intent"]["current_state"] is None
    assert request["intent"]["preconditions"] is None
    assert request["intent"]["full_request_data"]["filters"] == rollout(50)
    assert flags.post(key="new").json()["code"] == "change_request_pending"
    assert flags.post(key="other").json()["code"] == "approval_required"


def test_approved_creation__creates(flags: Flags, policy: MakePolicy, requests: Requests, member: User) -> None:
    policy("feature_flag.enable")
    sent = {
        "key": "new",
        "name": "New",
        "filters": rollout(50, **split(40, 60)) | {"payloads": {"test": "[1]"}},
        "tags": ["a", "b"],
        "ensure_experience_continuity": True,
        "evaluation_runtime": "server",
        "evaluation_contexts": ["web"],
        "_create_in_folder": "Ours",
    }
    request = held_back(flags.post(**sent))

    decided = requests.approved(request["id"])

    made = FeatureFlag.objects.get()
    assert decided["result"] == {"resource_id": str(made.pk), "resource_version": 1}
    shown = flags.read({"id": made.pk})
    assert {name: shown[name] for name in sent if name not in ("_create_in_folder", "filters")} == {
        name: value for name, value in sent.items() if name not in ("_create_in_folder", "filters")
    }
    assert shown["filters"]["groups"][0]["rollout_percentage"] == 50
    assert shown["filters"]["payloads"] == {"test": "[1]"}
    assert shown["folder"] == "Ours"
    assert shown["active"] is True
    assert shown["created_by"]["id"] == member.pk


def test_approved_creation__without_filters__matches_nobody_as_sent(
    flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    policy("feature_flag.enable")
    request = held_back(flags.post(key="new"))

    requests.approved(request["id"])

    assert FeatureFlag.objects.get().filters == {"groups": []}


def test_approved_creation__key_exists_by_now__that_flag_is_the_result(
    flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    policy("feature_flag.enable")
    request = held_back(flags.post(key="new", filters=rollout(50)))
    there = flags.made(key="new", name="Made meanwhile")

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied"
    assert decided["result"] == {"resource_id": str(there["id"]), "resource_version": 1}
    assert flags.read(there) == there


@pytest.mark.parametrize(
    ("key", "fields", "write", "after"),
    [
        ("feature_flag.enable", {}, lambda f, flag: f.act(flag, "enable"), {"active": True}),
        ("feature_flag.disable", ACTIVE, lambda f, flag: f.act(flag, "disable"), {"active": False}),
        (
            "feature_flag.disable",
            ACTIVE,
            lambda f, flag: f.act(flag, "archive"),
            {"active": False, "archived": True},
        ),
        (
            "feature_flag.enable",
            {},
            lambda f, flag: f.patch(flag, active=True, name="Renamed", key="other-key", tags=["x"]),
            {"active": True, "name": "Renamed", "key": "other-key", "tags": ["x"]},
        ),
        (
            "feature_flag.update",
            {"filters": rollout(10)},
            lambda f, flag: f.patch(flag, filters=rollout(20), name="Wider"),
            {"filters": rollout(20), "name": "Wider"},
        ),
        (
            "feature_flag.disable",
            ACTIVE,
            lambda f, flag: f.patch(flag, active=False, deleted=True),
            {"active": False, "deleted": True},
        ),
    ],
)
def test_approved_change__does_all_that_was_sent_as_the_requester(
    flags: Flags,
    policy: MakePolicy,
    requests: Requests,
    member: User,
    approver: User,
    key: str,
    fields: Json,
    write: Try,
    after: Json,
) -> None:
    flag = flags.made(**fields)
    policy(key)
    request = held_back(write(flags, flag))

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    assert decided["message"] == "Quorum reached. Change applied successfully."
    assert decided["result"] == {"resource_id": str(flag["id"]), "resource_version": 2}
    shown = flags.read(flag)
    assert {name: shown[name] for name in after} == after
    assert shown["last_modified_by"]["id"] == member.pk
    row = ActivityEntry.objects.filter(scope="FeatureFlag").latest("created_at")
    assert row.user == member
    assert row.detail["trigger"] == {
        "job_type": "change_request",
        "job_id": request["id"],
        "payload": {"action": request["intent"]["act"], "approved_by": [approver.pk]},
    }


def test_approved_change__only_the_sent_top_level_filters_keep_others(
    flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    flag = flags.made(filters=rollout(10, **split(50, 50)) | {"payloads": {"test": "1"}})
    policy("feature_flag.update")
    request = held_back(flags.patch(flag, filters=split(20, 80)))

    requests.approved(request["id"])

    filters = flags.read(flag)["filters"]
    assert filters["groups"] == flag["filters"]["groups"]
    assert filters["payloads"] == {"test": "1"}
    assert [variant["rollout_percentage"] for variant in filters["multivariate"]["variants"]] == [20, 80]


def test_encrypted_payload__never_in_the_request_and_applied_in_full(
    flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    policy("feature_flag.enable")
    secret = '"the-secret-payload"'
    encrypted = {"is_remote_configuration": True, "has_encrypted_payloads": True}

    answer = flags.post(key="new", filters=rollout(100) | {"payloads": {"true": secret}}, **encrypted)

    request = held_back(answer)
    row = ChangeRequest.objects.get()
    assert request["intent"]["full_request_data"]["filters"]["payloads"] == {"true": '"********* (encrypted)"'}
    for text in (answer.content.decode(), str(row.payload), str(row.intent), str(list(ActivityEntry.objects.values()))):
        assert "the-secret-payload" not in text
    requests.approved(request["id"])
    made = FeatureFlag.objects.get()
    assert flags.read({"id": made.pk})["filters"]["payloads"] == {"true": secret}


def test_encrypted_payload__changed_through_an_approval(flags: Flags, policy: MakePolicy, requests: Requests) -> None:
    encrypted = {"is_remote_configuration": True, "has_encrypted_payloads": True}
    flag = flags.made(filters=rollout(100) | {"payloads": {"true": '"old"'}}, **encrypted)
    policy("feature_flag.enable")
    changes: Any = {"filters": {"payloads": {"true": '"fresh-secret"'}}}

    request = held_back(flags.patch(flag, active=True, **changes))

    assert "fresh-secret" not in str(ChangeRequest.objects.values("intent", "payload").get())
    requests.approved(request["id"])
    shown = flags.read(flag)
    assert shown["filters"]["payloads"] == {"true": '"fresh-secret"'}
    assert shown["active"] is True


def test_service_door__raises_and_leaves_nothing(flags: Flags, policy: MakePolicy, project: Project) -> None:
    flag = flags.made()
    policy("feature_flag.enable")

    with pytest.raises(ApprovalRequired) as raised:
        services.edit_flag(project=project, flag_id=flag["id"], user=None, changes={"active": True})

    assert not FeatureFlag.objects.get().active
    filed = file(raised.value)
    assert filed.is_new
    assert filed.request.created_by is None
    assert file(raised.value).request == filed.request


def test_without_policies__nothing_is_gated(flags: Flags, api: APIClient) -> None:
    flag = flags.made()

    assert flags.act(flag, "enable").status_code == 200
    assert flags.patch(flag, filters=rollout(1)).status_code == 200
    assert flags.act(flag, "archive").status_code == 200
    assert not ChangeRequest.objects.exists()
