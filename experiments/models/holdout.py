from django.conf import settings
from django.db import models

from common.documents import DocumentField


class ExperimentHoldout(models.Model):
    """A share of all persons that is kept out of the experiments using it."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="holdouts")
    name = models.CharField(max_length=400)
    description = models.CharField(max_length=400, null=True)
    filters = DocumentField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="holdout_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def exclusion_percentage(self) -> float:
        """The share held out, 0 to 100: the rollout of the first filter."""
        percentage: float = self.filters[0]["rollout_percentage"]
        return percentage
