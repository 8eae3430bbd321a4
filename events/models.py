"""What happened, and to whom. So far: actions, the named sets of events that metrics refer to."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from common.documents import DocumentField


class Action(models.Model):
    """A named set of events, described by steps; metrics and cohorts refer to it by id."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="actions")
    name = models.CharField(max_length=400)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=255), default=list)
    steps = DocumentField(default=list)
    deleted = models.BooleanField(default=False)
    folder = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=models.Q(deleted=False), name="action_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name
