"""What is kept in advance of stored events, so that results need not read them again. All of it can be made anew.

There are two kinds. Exposure windows hold first exposures by person as ingested, in a form that outlives changed
criteria of a question. Rollups hold the value of each unit for each metric of an experiment, and their sums.

Where there is no constraint to the row above, checking it would cost more than storing the row; the jobs that keep
these tables remove what has lost its parent.
"""

from django.db import models
from django.db.models.functions import Now


class AggregatedDay(models.Model):
    """A UTC day of a project of which pre-aggregated exposures may exist: a change to its events has to be noted."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, db_constraint=False, related_name="+")
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "day"], name="aggregated_day_unique")]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.day}"


class ChangedDay(models.Model):
    """The note that events of an aggregated day have changed since; written with them, in their transaction."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, db_constraint=False, related_name="+")
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.project_id}: {self.day}"


class ExposureAggregation(models.Model):
    """The pre-aggregated exposures of an experiment, by the digest of what makes a row one of them."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    # The experiment by its id: experiments live in an app above this one.
    experiment_id = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["experiment_id", "digest"], name="exposure_aggregation_unique")]

    def __str__(self) -> str:
        return f"{self.experiment_id}: {self.digest}"


class ExposureWindow(models.Model):
    """Whole UTC days, at most seven, whose exposures are pre-aggregated."""

    aggregation = models.ForeignKey(ExposureAggregation, on_delete=models.CASCADE, related_name="windows")
    first_day = models.DateField()
    last_day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["aggregation", "first_day"], name="exposure_window_unique"),
            models.CheckConstraint(
                condition=models.Q(last_day__gte=models.F("first_day")), name="exposure_window_days"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}"


class PreaggregatedExposure(models.Model):
    """When one person (by the id known at ingest), or group, saw one variant within a window."""

    window = models.ForeignKey(ExposureWindow, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    person_id = models.UUIDField(null=True)
    group_key = models.TextField(null=True)
    variant = models.TextField()
    first_time = models.DateTimeField()
    last_time = models.DateTimeField()
    first_uuid = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.person_id or self.group_key}: {self.variant}"


class DeletedPerson(models.Model):
    """The note that a person was deleted while events of it stay: the only way one changes without an event of its own.

    `noted_at` is within the transaction, never before its beginning, which is the `created_at` of the events of one.
    """

    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    person_id = models.UUIDField()
    noted_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["project", "noted_at"], name="deleted_person_newest")]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.person_id}"


class Rollup(models.Model):
    """The exposed units of an experiment as of a moment, and how many there were by arm and day.

    `digest` is that of what makes a unit one of them. Everything stored before `stored_before` and happening up to
    `as_of` is in it.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    # The experiment by its id: experiments live in an app above this one.
    experiment_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    as_of = models.DateTimeField()
    stored_before = models.DateTimeField()
    by_day = models.JSONField()

    def __str__(self) -> str:
        return f"{self.experiment_id}: {self.digest}"


class RollupMeasure(models.Model):
    """One measure of the units of a rollup, by the digest of what is computed, and its sums by arm."""

    rollup = models.ForeignKey(Rollup, on_delete=models.CASCADE, related_name="measures", db_index=False)
    digest = models.CharField(max_length=64)
    sums = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollup", "digest"], name="rollup_measure_unique")]

    def __str__(self) -> str:
        return f"{self.rollup_id}: {self.digest}"


class RollupUnit(models.Model):
    """An exposed person, after the merges known to the rollup: its arm, and the day of its first exposure."""

    pk = models.CompositePrimaryKey("rollup_id", "person_id")
    rollup = models.ForeignKey(Rollup, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    person_id = models.UUIDField()
    arm = models.TextField()
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.person_id}: {self.arm}"


class RollupValue(models.Model):
    """What one person adds to a measure; without a row it adds nothing, not even itself.

    Of a mean y, of a ratio the numerator y and the denominator d, and x and dx before the exposure; of a retention
    whether the person came back; of a funnel the furthest step, and whether it took the last one before.
    """

    pk = models.CompositePrimaryKey("measure_id", "person_id")
    measure = models.ForeignKey(
        RollupMeasure, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    person_id = models.UUIDField()
    arm = models.TextField()
    y = models.FloatField()
    x = models.FloatField()
    d = models.FloatField(null=True)
    dx = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.person_id}: {self.y}"
