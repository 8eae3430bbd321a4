from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from common.documents import DocumentField


class ExperimentSavedMetric(models.Model):
    """A metric defined once and used by many experiments; a changed query shows in all of them at once."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="saved_metrics")
    name = models.CharField(max_length=400)
    description = models.CharField(max_length=400, null=True)
    query = DocumentField()
    tags = ArrayField(models.CharField(max_length=255), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [models.Index("project", Lower("name"), "id", name="saved_metric_by_name")]

    def __str__(self) -> str:
        return self.name


class ExperimentToSavedMetric(models.Model):
    """A saved metric's place in one experiment.

    `query` is the saved query as this experiment shows it, with its own fingerprint: written whenever either side
    changes, so that reading a list computes no hash.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="saved_metric_links"
    )
    saved_metric = models.ForeignKey(ExperimentSavedMetric, on_delete=models.CASCADE, related_name="experiment_links")
    metadata = DocumentField(default=dict)
    query = DocumentField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["experiment", "saved_metric"], name="saved_metric_linked_once")]

    def __str__(self) -> str:
        return f"{self.saved_metric} in {self.experiment}"

    @property
    def is_primary(self) -> bool:
        """Whether the metric counts among the experiment's primary ones; every type but `primary` is secondary."""
        primary: bool = self.metadata["type"] == "primary"
        return primary
