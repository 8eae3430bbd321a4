from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from common.documents import DocumentField


class ExperimentStatus(models.TextChoices):
    """The stored part of an experiment's state; `paused` is derived from the flag."""

    DRAFT = "draft", "draft"
    RUNNING = "running", "running"
    STOPPED = "stopped", "stopped"


class ExperimentType(models.TextChoices):
    WEB = "web", "web"
    PRODUCT = "product", "product"


class Conclusion(models.TextChoices):
    WON = "won", "won"
    LOST = "lost", "lost"
    INCONCLUSIVE = "inconclusive", "inconclusive"
    STOPPED_EARLY = "stopped_early", "stopped_early"
    INVALID = "invalid", "invalid"


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    def paused(self) -> "ExperimentQuerySet":
        """Launched, not ended, but the flag is off. The same claim as `Experiment.is_paused`."""
        return self.filter(status=ExperimentStatus.RUNNING, feature_flag__active=False)


class Experiment(models.Model):
    """A question asked with a feature flag: who sees which variant, and what that changes.

    `status`, `start_date`, `end_date` and `archived` are written by `experiments.lifecycle` alone; the database
    refuses rows in which they contradict each other.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="experiments")
    # RESTRICT, not PROTECT: a flag goes with its experiments when their project does.
    feature_flag = models.ForeignKey("feature_flags.FeatureFlag", on_delete=models.RESTRICT, related_name="experiments")
    holdout = models.ForeignKey(
        "experiments.ExperimentHoldout", null=True, on_delete=models.SET_NULL, related_name="experiments"
    )
    exposure_cohort = models.ForeignKey(
        "cohorts.Cohort", null=True, on_delete=models.SET_NULL, related_name="experiments"
    )
    name = models.CharField(max_length=400)
    description = models.CharField(max_length=3000, null=True)
    type = models.CharField(max_length=10, choices=ExperimentType.choices, null=True, default=ExperimentType.PRODUCT)
    status = models.CharField(max_length=10, choices=ExperimentStatus.choices, default=ExperimentStatus.DRAFT)
    start_date = models.DateTimeField(null=True)
    end_date = models.DateTimeField(null=True)
    archived = models.BooleanField(default=False)
    deleted = models.BooleanField(default=False)
    conclusion = models.CharField(max_length=20, choices=Conclusion.choices, null=True)
    conclusion_comment = models.CharField(max_length=4000, null=True)
    parameters = DocumentField(default=dict)
    # The read form of `parameters` (`experiments.parameters`): written with them and whenever the flag's variants
    # change, so that reading a list computes nothing.
    shown_parameters = DocumentField(default=dict)
    running_time_calculation = DocumentField(default=dict)
    excluded_variants = ArrayField(models.TextField(), default=list)
    filters = DocumentField(default=dict)
    metrics = DocumentField(default=list)
    metrics_secondary = DocumentField(default=list)
    secondary_metrics = DocumentField(default=list)
    primary_metrics_ordered_uuids = DocumentField(null=True)
    secondary_metrics_ordered_uuids = DocumentField(null=True)
    exposure_criteria = DocumentField(null=True)
    stats_config = DocumentField(null=True)
    scheduling_config = DocumentField(null=True)
    exposure_preaggregation_enabled = models.BooleanField(default=False)
    only_count_matured_users = models.BooleanField(default=False)
    folder = models.TextField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    objects: ClassVar[models.Manager["Experiment"]] = ExperimentQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="experiment_newest")]
        constraints = [
            models.CheckConstraint(
                name="experiment_status_agrees_with_dates",
                condition=(
                    Q(status=ExperimentStatus.DRAFT, start_date__isnull=True)
                    | Q(status=ExperimentStatus.RUNNING, start_date__isnull=False, end_date__isnull=True)
                    | Q(status=ExperimentStatus.STOPPED, start_date__isnull=False, end_date__isnull=False)
                ),
            ),
            models.CheckConstraint(name="experiment_ends_after_it_starts", condition=Q(end_date__gt=F("start_date"))),
            models.CheckConstraint(
                name="experiment_archived_only_when_stopped",
                condition=Q(archived=False) | Q(status=ExperimentStatus.STOPPED),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        """Launched, not ended, but the flag is off. The same claim as `ExperimentQuerySet.paused`."""
        return self.status == ExperimentStatus.RUNNING and not self.feature_flag.active
