"""Change requests: made of what the gate held back, and expired by the clock."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from approvals import history, registry
from approvals.approvers import is_approver, standing_of
from approvals.gate import CREATED, ApprovalRequired
from approvals.models import ApprovalPolicy, ChangeRequest, ChangeRequestState, ValidationStatus

CREATED_FOR_OTHERS = "A change request has been created and is pending approval from others."
PENDING_ALREADY = "A pending approval request already exists for this action"
STALENESS = "Resource has been modified since this change request was created"

# How many rows one run of the clock's work takes at a time.
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The request that a change has to wait for, and what its sender is told. Not `is_new`: it was pending already."""

    request: ChangeRequest
    is_new: bool
    message: str


def file(required: ApprovalRequired) -> Filed:
    """Make a change request of what the gate held back, unless one of its family is pending for the resource.

    Call it after the transaction of the change has been rolled back. Of simultaneous attempts one makes the request,
    the others are given it.
    """
    proposal = required.proposal
    while True:
        with transaction.atomic():
            same = ChangeRequest.objects.filter(
                project=required.project,
                family=required.family,
                resource_type=proposal.resource_type,
                subject=proposal.subject,
                state=ChangeRequestState.PENDING,
            )
            now = timezone.now()
            _expire(same, now=now)
            made = _made(required, now=now)
            if made is not None:
                history.record(made, user=required.user, before=None)
                return Filed(request=made, is_new=True, message=_message(required))
        pending = same.select_related("project").first()
        if pending is not None:
            return Filed(request=pending, is_new=False, message=PENDING_ALREADY)
        # The one that was in the way has just been decided.


def _made(required: ApprovalRequired, *, now: datetime) -> ChangeRequest | None:
    """The new request, None while one is pending."""
    proposal, policy = required.proposal, required.policy
    request = ChangeRequest(
        project=required.project,
        family=required.family,
        action_key=policy.action_key,
        act=proposal.act,
        resource_type=proposal.resource_type,
        resource_id=proposal.resource_id,
        subject=proposal.subject,
        intent=dict(proposal.intent),
        intent_display=dict(proposal.intent_display),
        payload=dict(proposal.payload),
        policy_snapshot=snapshot(policy),
        validated_at=now,
        created_by=required.user,
        expires_at=now + policy.expires_after,
    )
    try:
        with transaction.atomic():
            request.save(force_insert=True)
    except IntegrityError as error:
        if "one_pending_change_request" in str(error):
            return None
        raise
    return request


def snapshot(policy: ApprovalPolicy) -> dict[str, object]:
    """What a request keeps of its policy; rights are judged by it from then on."""
    return {
        **policy.approver_config,
        "allow_self_approve": policy.allow_self_approve,
        "conditions": policy.conditions,
        "bypass_org_membership_levels": policy.bypass_org_membership_levels,
        "bypass_roles": policy.bypass_roles,
    }


def _message(required: ApprovalRequired) -> str:
    standing = standing_of(required.user, required.project.organization_id)
    could_approve = is_approver(required.policy.approver_config, standing)
    return CREATED_FOR_OTHERS if could_approve and not required.policy.allow_self_approve else CREATED


def expire_overdue() -> int:
    """Write down which pending requests are over; they read as expired already. Answers how many there were."""
    pending, now = ChangeRequest.objects.filter(state=ChangeRequestState.PENDING), timezone.now()
    expired = 0
    while found := _expire(pending, now=now):
        expired += found
    return expired


@transaction.atomic
def _expire(pending: QuerySet[ChangeRequest], *, now: datetime) -> int:
    # A request that is being voted on at this moment is left to the voter, who has read the same clock.
    rows = pending.select_related("project").select_for_update(of=("self",), skip_locked=True)
    overdue = list(rows.filter(expires_at__lte=now).order_by("pk")[:_BATCH])
    for request in overdue:
        before = history.snapshot(request)
        request.state = ChangeRequestState.EXPIRED
        request.save(update_fields=["state", "updated_at"])
        history.record(request, user=None, before=before)
    return len(overdue)


def mark_stale() -> int:
    """Write down which pending requests were made on a state that is no more; they read as stale already."""
    valid = ChangeRequest.objects.filter(state=ChangeRequestState.PENDING, validation_status=ValidationStatus.VALID)
    rows = valid.order_by("pk").iterator(chunk_size=_BATCH)
    marked = 0
    while batch := list(islice(rows, _BATCH)):
        marked += valid.filter(pk__in=registry.moved(batch)).update(**stale(timezone.now()))
    return marked


def stale(now: datetime) -> dict[str, Any]:
    """The fields of a request that was made on a state that is no more."""
    return {
        "validation_status": ValidationStatus.STALE,
        "validation_errors": {"staleness": STALENESS},
        "validated_at": now,
    }
