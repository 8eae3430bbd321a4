"""Who changed what, when. Rows are written by `activity.recorder` only and never changed."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from common.documents import DocumentField


class Activity(models.TextChoices):
    """What was done to an object."""

    CREATED = "created", "created"
    UPDATED = "updated", "updated"
    DELETED = "deleted", "deleted"
    RESTORED = "restored", "restored"
    RESET = "reset", "reset"


class Scope(models.TextChoices):
    """The kinds of objects whose changes are kept."""

    EXPERIMENT = "Experiment", "Experiment"
    EXPERIMENT_HOLDOUT = "ExperimentHoldout", "ExperimentHoldout"
    EXPERIMENT_SAVED_METRIC = "ExperimentSavedMetric", "ExperimentSavedMetric"
    FEATURE_FLAG = "FeatureFlag", "FeatureFlag"
    COHORT = "Cohort", "Cohort"
    ACTION = "Action", "Action"
    PERSON = "Person", "Person"
    PROJECT = "Team", "Team"
    APPROVAL_POLICY = "ApprovalPolicy", "ApprovalPolicy"
    CHANGE_REQUEST = "ChangeRequest", "ChangeRequest"
    PROJECT_SECRET_API_KEY = "ProjectSecretAPIKey", "ProjectSecretAPIKey"


class ActivityEntry(models.Model):
    """One effective change of one object."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey("projects.Organization", null=True, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey("projects.Project", null=True, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    is_system = models.BooleanField(default=False)
    scope = models.CharField(max_length=40)
    item_id = models.CharField(max_length=80)
    activity = models.CharField(max_length=40)
    detail = DocumentField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="activity_newest"),
            models.Index(fields=["project", "scope", "item_id", "-created_at"], name="activity_of_item"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.item_id} {self.activity}"
