"""Named sets of persons."""

from django.conf import settings
from django.db import models

from common.documents import DocumentField


class Cohort(models.Model):
    """A set of persons: static (listed) or dynamic (described by filters and calculated)."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="cohorts")
    name = models.CharField(max_length=400)
    description = models.TextField(blank=True, default="")
    deleted = models.BooleanField(default=False)
    is_static = models.BooleanField(default=False)
    filters = DocumentField(default=dict)
    folder = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # Calculation state: `version` is that of the stored members, `pending_version` that of the newest filters.
    version = models.PositiveIntegerField(null=True)
    pending_version = models.PositiveIntegerField(null=True)
    is_calculating = models.BooleanField(default=False)
    last_calculation = models.DateTimeField(null=True)
    count = models.PositiveBigIntegerField(null=True)
    errors_calculating = models.PositiveIntegerField(default=0)
    last_error_message = models.TextField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="cohort_newest")]

    def __str__(self) -> str:
        return self.name


class CohortCalculation(models.Model):
    """One calculation of a cohort's persons, finished or failed."""

    cohort = models.ForeignKey(Cohort, on_delete=models.CASCADE, related_name="calculations")
    version = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(null=True)
    error = models.TextField(null=True)

    class Meta:
        indexes = [models.Index(fields=["cohort", "-started_at", "-id"], name="calculation_newest")]

    def __str__(self) -> str:
        return f"{self.cohort_id} at {self.started_at:%Y-%m-%d %H:%M}"
