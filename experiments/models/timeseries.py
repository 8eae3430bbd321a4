from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import MD5

from common.documents import DocumentField


class PointStatus(models.TextChoices):
    PENDING = "pending", "pending"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"


class RecalculationStatus(models.TextChoices):
    """`pending` and `in_progress` are the active ones."""

    PENDING = "pending", "pending"
    IN_PROGRESS = "in_progress", "in_progress"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"


ACTIVE = (RecalculationStatus.PENDING, RecalculationStatus.IN_PROGRESS)


class ExperimentMetricResult(models.Model):
    """A point of a metric's timeseries: what was known from the start up to `query_to`, or why it is not known.

    The metric may be inline or saved, and gone since; its fingerprint says which computation the point belongs to.

    Points need no removal. Whoever asks for an earlier fingerprint still gets its series, and a day has at most two
    points: one up to the moment of the daily calculation, one up to midnight. They go with their experiment.
    """

    experiment = models.ForeignKey("experiments.Experiment", on_delete=models.CASCADE, related_name="metric_results")
    metric_uuid = models.TextField()
    fingerprint = models.CharField(max_length=64)
    query_from = models.DateTimeField()
    query_to = models.DateTimeField()
    status = models.CharField(max_length=10, choices=PointStatus.choices, default=PointStatus.PENDING)
    result = DocumentField(null=True)
    query_id = models.CharField(max_length=64, null=True)
    completed_at = models.DateTimeField(null=True)
    error_message = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager["ExperimentMetricResult"]] = models.Manager()

    class Meta:
        constraints = [
            # Uuids are texts of any length, and an entry of an index is not.
            models.UniqueConstraint(
                "experiment", "fingerprint", MD5("metric_uuid"), "query_to", name="one_metric_result_per_moment"
            ),
            models.CheckConstraint(
                name="metric_result_completed_with_result",
                condition=~Q(status=PointStatus.COMPLETED) | Q(result__isnull=False, completed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric_uuid} up to {self.query_to}"


class TimeseriesRecalculation(models.Model):
    """A request to compute all points of a metric's timeseries anew; a restart goes on after `last_successful_date`.

    Nobody reads one that is over; the daily removal (results/removal.py) takes it away some time later.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    experiment = models.ForeignKey("experiments.Experiment", on_delete=models.CASCADE, related_name="recalculations")
    metric = DocumentField()
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=RecalculationStatus.choices, default=RecalculationStatus.PENDING)
    last_successful_date = models.DateField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager["TimeseriesRecalculation"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "fingerprint"],
                condition=Q(status__in=ACTIVE),
                name="one_active_timeseries_recalculation",
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class TimeseriesRun(models.Model):
    """When the daily calculation of an experiment's timeseries was last queued."""

    experiment = models.OneToOneField(
        "experiments.Experiment", primary_key=True, on_delete=models.CASCADE, related_name="timeseries_run"
    )
    queued_at = models.DateTimeField()

    objects: ClassVar[models.Manager["TimeseriesRun"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.experiment_id} at {self.queued_at}"
