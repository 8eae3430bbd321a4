"""Votes on change requests, and what follows from them.

The request's row is locked before anything that its change writes. Whoever writes flags or experiments never waits
for a request, so that the two orders cannot meet.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from django.db import IntegrityError, transaction
from django.utils import timezone

from activity.recorder import Trigger
from approvals import history, registry, requests
from approvals.approvers import Standing, is_approver, standing_of
from approvals.gate import Passed
from approvals.models import Approval, ChangeRequest, ChangeRequestState, Decision, ValidationStatus
from approvals.registry import Applied
from common.errors import Denied, DomainError, Invalid, Missing
from projects.models import User

CANCELED = "Canceled by requester"
NO_ACCESS = "The requester no longer has access to the project."
GONE = "It no longer exists."

JOB = "change_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a vote or a cancellation came to, in a word and in a sentence."""

    status: str
    message: str


def check_vote(request: ChangeRequest, *, user: User) -> None:
    """Raise unless the user may vote on the request: Denied by rights, Invalid for a second vote."""
    if not request.is_pending:
        raise Denied("Only pending change requests can be approved")
    if request.created_by_id == user.pk and not request.policy_snapshot["allow_self_approve"]:
        raise Denied("You cannot approve your own change request")
    if not is_approver(request.policy_snapshot, standing_of(user, request.project.organization_id)):
        raise Denied("You are not in the approver set for this change request")
    if request.approvals.filter(created_by=user).exists():
        raise _voted_already()


def may_vote(request: ChangeRequest, *, user_id: int, standing: Standing | None, voted: bool) -> bool:
    """Whether `check_vote` would pass, for a request whose votes are known."""
    own = request.created_by_id == user_id and not request.policy_snapshot["allow_self_approve"]
    return request.is_pending and not own and not voted and is_approver(request.policy_snapshot, standing)


def may_cancel(request: ChangeRequest, *, user_id: int, approved: bool, stale: bool) -> bool:
    """Whether the user may cancel: who made it, while it is pending and nobody has approved it, or once it is stale."""
    return request.created_by_id == user_id and request.is_pending and (not approved or stale)


def check_cancel(request: ChangeRequest, *, user: User) -> None:
    """Raise Denied unless the user may cancel the request."""
    approved = request.approvals.filter(decision=Decision.APPROVED).exists()
    if not may_cancel(request, user_id=user.pk, approved=approved, stale=bool(registry.moved([request]))):
        raise Denied("You cannot cancel this change request")


@transaction.atomic
def approve(request: ChangeRequest, *, user: User, reason: str = "") -> Outcome:
    """Approve; the vote that completes the quorum applies the change, in this transaction and as its requester.

    A change that cannot be applied any more leaves the vote and a failed request. Call `check_vote` first. Raises
    Invalid when the request was decided meanwhile.
    """
    locked = _lock(request, act="approved")
    before = history.snapshot(locked)
    _vote(locked, user=user, decision=Decision.APPROVED, reason=reason)
    count = locked.approvals.filter(decision=Decision.APPROVED).count()
    quorum = locked.policy_snapshot["quorum"]
    if count < quorum:
        locked.save(update_fields=["updated_at"])
        outcome = Outcome(status="approved", message=f"Approval recorded. {count}/{quorum} approvals received.")
    else:
        outcome = _apply(locked)
    history.record(locked, user=user, before=before)
    return outcome


@transaction.atomic
def reject(request: ChangeRequest, *, user: User, reason: str) -> Outcome:
    """Reject, which one vote can. Call `check_vote` first. Raises Invalid when the request was decided meanwhile."""
    locked = _lock(request, act="rejected")
    before = history.snapshot(locked)
    _vote(locked, user=user, decision=Decision.REJECTED, reason=reason)
    _settle(locked, ChangeRequestState.REJECTED)
    history.record(locked, user=user, before=before)
    return Outcome(status="rejected", message="Change request rejected.")


@transaction.atomic
def cancel(request: ChangeRequest, *, user: User, reason: str = "") -> Outcome:
    """Withdraw: the requester's rejecting vote, in place of an earlier one of theirs. Call `check_cancel` first."""
    locked = _lock(request, act="canceled")
    if locked.approvals.filter(decision=Decision.APPROVED).exists() and not registry.moved([locked]):
        _lost("canceled")  # approved since it was looked at
    before = history.snapshot(locked)
    locked.approvals.filter(created_by=user).delete()
    _vote(locked, user=user, decision=Decision.REJECTED, reason=reason or CANCELED)
    _settle(locked, ChangeRequestState.REJECTED)
    history.record(locked, user=user, before=before)
    return Outcome(status="canceled", message="Change request canceled.")


def _lock(request: ChangeRequest, *, act: str) -> ChangeRequest:
    rows = ChangeRequest.objects.select_for_update(of=("self",)).select_related("project", "created_by")
    locked = rows.filter(pk=request.pk).first()
    if locked is None or not locked.is_pending:
        _lost(act)
    return locked


def _lost(act: str) -> NoReturn:
    raise Invalid(f"This change request can no longer be {act}.")


def _voted_already() -> Invalid:
    return Invalid("You have already voted on this change request.")


def _vote(request: ChangeRequest, *, user: User, decision: Decision, reason: str) -> None:
    try:
        with transaction.atomic():
            Approval.objects.create(change_request=request, created_by=user, decision=decision, reason=reason)
    except IntegrityError as error:
        if "one_vote_per_user" in str(error):
            raise _voted_already() from None
        raise


def _settle(request: ChangeRequest, state: ChangeRequestState, **fields: Any) -> None:
    request.state = state
    for name, value in fields.items():
        setattr(request, name, value)
    request.save(update_fields=["state", *fields, "updated_at"])


class _Unmet(Exception):
    """Everything would have gone well, but not with what the approvers had agreed to."""


def _apply(request: ChangeRequest) -> Outcome:
    """Do what a locked request asks for: all of it, or nothing and the reason why."""
    _settle(request, ChangeRequestState.APPROVED)
    act = registry.registered(request.act)
    unmet: str | None = None
    try:
        with transaction.atomic():
            subject = act.lock(request)
            unmet = _unmet(request)
            applied = _perform(act, subject, request)
            if applied.changed and unmet is not None:
                raise _Unmet
    except (_Unmet, Missing):
        return _overtaken(request, unmet or GONE)
    except DomainError as error:
        if unmet is not None:
            return _overtaken(request, unmet)
        return _failed(
            request,
            f"Validation failed: {error.detail}",
            validation_status=ValidationStatus.INVALID,
            validation_errors={error.attr or "non_field_errors": error.detail},
            validated_at=timezone.now(),
        )
    result = {"resource_id": str(applied.resource_id), "resource_version": applied.resource_version}
    _settle(
        request,
        ChangeRequestState.APPLIED,
        applied_by=request.created_by,
        applied_at=timezone.now(),
        result_data=result,
    )
    return Outcome(status="applied", message="Quorum reached. Change applied successfully.")


def _unmet(request: ChangeRequest) -> str | None:
    """Why the change may not be made any more; asked once its subject is locked."""
    if standing_of(request.created_by, request.project.organization_id) is None:
        return NO_ACCESS
    return registry.moved([request]).get(request.pk)


def _perform(act: registry.RegisteredAct, subject: Any, request: ChangeRequest) -> Applied:
    if request.created_by is None:
        raise _Unmet  # Nobody is left to act for.
    approved_by = request.approvals.filter(decision=Decision.APPROVED).order_by("created_at", "pk")
    trigger = Trigger(
        job_type=JOB,
        job_id=str(request.pk),
        payload={
            "action": request.intent["act"],
            "approved_by": list(approved_by.values_list("created_by_id", flat=True)),
        },
    )
    return act.perform(subject, request, request.created_by, Passed(trigger=trigger))


def _overtaken(request: ChangeRequest, why: str) -> Outcome:
    stale = {} if why == NO_ACCESS else requests.stale(timezone.now())
    return _failed(request, f"Precondition failed: {why}", **stale)


def _failed(request: ChangeRequest, why: str, **fields: Any) -> Outcome:
    _settle(request, ChangeRequestState.FAILED, apply_error=why, **fields)
    return Outcome(status="failed", message=f"Quorum reached but application failed: {why}")
