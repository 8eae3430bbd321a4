"""Policies and change requests as callers read them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.duration import duration_string

from approvals import decisions, registry
from approvals.approvers import Standing, standing_of
from approvals.models import (
    Approval,
    ApprovalPolicy,
    ChangeRequest,
    ChangeRequestState,
    Decision,
    ValidationStatus,
)
from approvals.requests import STALENESS, Filed
from projects.api.user_basic import user_basic
from projects.models import User


def policy(found: ApprovalPolicy) -> dict[str, Any]:
    """One policy."""
    return {
        "id": found.pk,
        "action_key": found.action_key,
        "conditions": found.conditions,
        "approver_config": found.approver_config,
        "allow_self_approve": found.allow_self_approve,
        "enabled": found.enabled,
        "bypass_org_membership_levels": found.bypass_org_membership_levels,
        "bypass_roles": found.bypass_roles,
        "expires_after": duration_string(found.expires_after),
        "created_by": user_basic(found.created_by),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def with_votes(queryset: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
    """`queryset` with what `change_requests` reads, in a fixed number of queries."""
    return queryset.select_related("created_by", "applied_by", "project").prefetch_related("approvals__created_by")


def change_requests(found: Sequence[ChangeRequest], *, viewer: User | None, organization_id: UUID) -> list[Any]:
    """Requests of one organization as `viewer` sees them. A fixed number of queries, besides those of `with_votes`."""
    standing = standing_of(viewer, organization_id) if found else None
    stale = registry.moved([request for request in found if request.is_pending])
    return [_change_request(request, viewer, standing, is_stale=request.pk in stale) for request in found]


def change_request(found: ChangeRequest, *, viewer: User | None) -> dict[str, Any]:
    """One request, read anew, as `viewer` sees it."""
    read = with_votes(ChangeRequest.objects.all()).get(pk=found.pk)
    shown: dict[str, Any] = change_requests([read], viewer=viewer, organization_id=read.project.organization_id)[0]
    return shown


def held_back(filed: Filed, *, viewer: User | None) -> dict[str, Any]:
    """The body of the 409 of a change that has to wait."""
    request = filed.request
    config = {name: request.policy_snapshot[name] for name in ("users", "roles", "quorum")}
    return {
        "code": "approval_required" if filed.is_new else "change_request_pending",
        "status": "approval_required",
        "detail": filed.message,
        "message": filed.message,
        "resource_type": request.resource_type,
        "resource_id": request.resource_id,
        "change_request_id": request.pk,
        "change_request": change_request(request, viewer=viewer),
        "required_approvers": config if filed.is_new else {},
    }


def _change_request(
    request: ChangeRequest, viewer: User | None, standing: Standing | None, *, is_stale: bool
) -> dict[str, Any]:
    votes = sorted(request.approvals.all(), key=lambda vote: (vote.created_at, vote.pk))
    viewer_id = 0 if viewer is None else viewer.pk  # 0 is nobody's id
    decision = next((vote.decision for vote in votes if vote.created_by_id == viewer_id), None)
    approved = any(vote.decision == Decision.APPROVED for vote in votes)
    status, errors = request.validation_status, request.validation_errors
    is_stale = is_stale or (status == ValidationStatus.STALE and request.state == ChangeRequestState.PENDING)
    if is_stale:
        status, errors = ValidationStatus.STALE.value, {"staleness": STALENESS}
    return {
        "id": request.pk,
        "action_key": request.action_key,
        "action_version": request.action_version,
        "resource_type": request.resource_type,
        "resource_id": request.resource_id,
        "intent": request.intent,
        "intent_display": request.intent_display,
        "policy_snapshot": request.policy_snapshot,
        "state": request.state_at(timezone.now()),
        "validation_status": status,
        "validation_errors": errors,
        "validated_at": request.validated_at,
        "created_by": user_basic(request.created_by),
        "applied_by": user_basic(request.applied_by),
        "created_at": request.created_at,
        "updated_at": request.updated_at,
        "expires_at": request.expires_at,
        "applied_at": request.applied_at,
        "apply_error": request.apply_error,
        "result_data": request.result_data,
        "approvals": [_vote(vote) for vote in votes],
        "can_approve": decisions.may_vote(request, user_id=viewer_id, standing=standing, voted=decision is not None),
        "can_cancel": decisions.may_cancel(request, user_id=viewer_id, approved=approved, stale=is_stale),
        "is_requester": request.created_by_id == viewer_id,
        "user_decision": decision,
    }


def _vote(vote: Approval) -> dict[str, Any]:
    return {
        "id": vote.pk,
        "created_by": user_basic(vote.created_by),
        "decision": vote.decision,
        "reason": vote.reason,
        "created_at": vote.created_at,
    }
