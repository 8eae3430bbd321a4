"""Feature flags as stored. Who gets which variant is decided in `feature_flags.evaluation`."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from common.documents import DocumentField


class BucketingIdentifier(models.TextChoices):
    """What a person's place in a rollout is hashed from."""

    DISTINCT_ID = "distinct_id", "distinct_id"
    DEVICE_ID = "device_id", "device_id"


class EvaluationRuntime(models.TextChoices):
    """Which kind of caller sees the flag."""

    ALL = "all", "all"
    SERVER = "server", "server"
    CLIENT = "client", "client"


class FeatureFlag(models.Model):
    """A switch or a multivariate split of one project.

    `version` starts at 1 and grows by one with each effective update. The key is unique in the project, soft-deleted
    rows included; a deleted flag that experiments refer to gives its key free by bearing `<key>:deleted:<id>`.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="feature_flags")
    key = models.CharField(max_length=450)
    name = models.TextField(blank=True, default="")
    filters = DocumentField(default=dict)
    active = models.BooleanField(default=True)
    archived = models.BooleanField(default=False)
    deleted = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    ensure_experience_continuity = models.BooleanField(default=False)
    bucketing_identifier = models.CharField(
        max_length=20, choices=BucketingIdentifier.choices, default=BucketingIdentifier.DISTINCT_ID
    )
    evaluation_runtime = models.CharField(
        max_length=10, choices=EvaluationRuntime.choices, default=EvaluationRuntime.ALL
    )
    evaluation_contexts = ArrayField(models.CharField(max_length=255), default=list)
    tags = ArrayField(models.CharField(max_length=255), default=list)
    is_remote_configuration = models.BooleanField(default=False)
    has_encrypted_payloads = models.BooleanField(default=False)
    folder = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    last_modified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="flag_newest")]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="flag_key_unique"),
            models.CheckConstraint(
                condition=~models.Q(archived=True, active=True), name="archived_flag_is_never_active"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def plain_key(self) -> str:
        """The key without the suffix that deletion may have added."""
        return self.key.removesuffix(f":deleted:{self.pk}")


class ScheduledChange(models.Model):
    """A change of a flag that is to be made later, once or again and again. Executed rows never change."""

    class Interval(models.TextChoices):
        DAILY = "daily", "daily"
        WEEKLY = "weekly", "weekly"
        MONTHLY = "monthly", "monthly"
        YEARLY = "yearly", "yearly"

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="scheduled_changes")
    # The flag's id as text, as clients send it.
    record_id = models.CharField(max_length=200)
    model_name = models.CharField(max_length=40)
    payload = DocumentField(default=dict)
    scheduled_at = models.DateTimeField()
    # The first time it was meant for: what months and years are counted from.
    begins_at = models.DateTimeField()
    executed_at = models.DateTimeField(null=True)
    failure_reason = models.TextField(null=True)
    is_recurring = models.BooleanField(default=False)
    recurrence_interval = models.CharField(max_length=10, choices=Interval.choices, null=True)
    cron_expression = models.CharField(max_length=100, null=True)
    last_executed_at = models.DateTimeField(null=True)
    end_date = models.DateTimeField(null=True)
    timezone = models.CharField(max_length=64, default="UTC")
    # What the last try was turned into where approval is needed.
    change_request = models.ForeignKey(
        "approvals.ChangeRequest", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["scheduled_at"], condition=models.Q(executed_at=None), name="scheduled_change_due"),
            models.Index(fields=["project", "record_id"], name="scheduled_change_of_flag"),
        ]

    def __str__(self) -> str:
        return f"{self.model_name} {self.record_id} at {self.scheduled_at}"
