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

    def __str__(self) -> str:
        return self.name
