"""Who must agree to which changes, and the changes that wait for it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from common.documents import DocumentField


class ApprovalPolicy(models.Model):
    """Changes of one kind need approval: in one project, or without a project in all of the organization."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey("projects.Organization", on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey("projects.Project", null=True, on_delete=models.CASCADE, related_name="+")
    action_key = models.CharField(max_length=40)
    conditions = DocumentField(default=dict)
    # {"quorum": int, "users": [ids], "roles": [uuids as text]}
    approver_config = DocumentField()
    allow_self_approve = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    bypass_org_membership_levels = DocumentField(default=list)
    bypass_roles = DocumentField(default=list)
    expires_after = models.DurationField(default=timedelta(days=14))
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "action_key"],
                condition=models.Q(project__isnull=False),
                name="one_policy_per_key_of_project",
            ),
            models.UniqueConstraint(
                fields=["organization", "action_key"],
                condition=models.Q(project__isnull=True),
                name="one_policy_per_key_of_organization",
            ),
        ]

    def __str__(self) -> str:
        return self.action_key


class ChangeRequestState(models.TextChoices):
    """Where a request is. `approved` only while its change is being applied."""

    PENDING = "pending", "pending"
    APPROVED = "approved", "approved"
    APPLIED = "applied", "applied"
    REJECTED = "rejected", "rejected"
    EXPIRED = "expired", "expired"
    FAILED = "failed", "failed"


class ValidationStatus(models.TextChoices):
    """Whether the change could still be applied."""

    VALID = "valid", "valid"
    INVALID = "invalid", "invalid"
    STALE = "stale", "stale"


class ChangeRequest(models.Model):
    """A change that was sent, passed all rules, and waits for approval.

    `subject` tells apart what requests are about: the id of the resource, or the key of one to be created. `intent`
    and `intent_display` are for people to read and hold no secret; `payload` is what the registered act applies.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    family = models.CharField(max_length=20)
    action_key = models.CharField(max_length=40)
    action_version = models.PositiveSmallIntegerField(default=1)
    act = models.CharField(max_length=40)
    resource_type = models.CharField(max_length=40)
    resource_id = models.CharField(max_length=80, null=True)
    subject = models.CharField(max_length=500)
    intent = DocumentField()
    intent_display = DocumentField()
    payload = DocumentField()
    policy_snapshot = DocumentField()
    state = models.CharField(max_length=10, choices=ChangeRequestState.choices, default=ChangeRequestState.PENDING)
    validation_status = models.CharField(
        max_length=10, choices=ValidationStatus.choices, default=ValidationStatus.VALID
    )
    validation_errors = DocumentField(null=True)
    validated_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    applied_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)
    apply_error = models.TextField(blank=True, default="")
    result_data = DocumentField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="change_request_newest")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "family", "resource_type", "subject"],
                condition=models.Q(state=ChangeRequestState.PENDING),
                name="one_pending_change_request",
            )
        ]

    def __str__(self) -> str:
        return f"{self.action_key} of {self.resource_type} {self.subject}"

    def state_at(self, now: datetime) -> str:
        """The state as callers read it: a pending request is expired the moment its time is over."""
        overdue = self.state == ChangeRequestState.PENDING and self.expires_at <= now
        return ChangeRequestState.EXPIRED.value if overdue else self.state

    @property
    def is_pending(self) -> bool:
        """Whether it can still be voted on."""
        return self.state_at(timezone.now()) == ChangeRequestState.PENDING

    @property
    def description(self) -> str:
        """What the change does, in a sentence."""
        display: dict[str, Any] = self.intent_display
        text: str = display["description"]
        return text


class Decision(models.TextChoices):
    """What a vote says."""

    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"


class Approval(models.Model):
    """One user's vote on a change request."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    change_request = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="approvals")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decision = models.CharField(max_length=10, choices=Decision.choices)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["change_request", "created_by"], name="one_vote_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} by {self.created_by}"
