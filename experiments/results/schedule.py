"""When the timeseries of experiments are calculated: daily at the project's time, and once more when one has ended."""

from datetime import UTC, datetime, time, timedelta

from django.db import transaction
from django.db.models import JSONField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from procrastinate.exceptions import AlreadyEnqueued

from experiments.models import Experiment, TimeseriesRun


def queue_due(*, now: datetime) -> int:
    """Queue the experiments whose timeseries are due; returns how many."""
    wanted = (
        Experiment.objects.select_related("project", "timeseries_run")
        .alias(is_wanted=KeyTextTransform("timeseries", Cast("scheduling_config", JSONField())))
        .filter(is_wanted="true", deleted=False, start_date__lte=now)
    )
    due = [experiment for experiment in wanted if _is_due(experiment, now=now)]
    for experiment in due:
        with transaction.atomic():
            TimeseriesRun.objects.update_or_create(experiment=experiment, defaults={"queued_at": now})
            _defer(experiment.pk)
    return len(due)


def last_occurrence(at: time, *, now: datetime) -> datetime:
    """When a time of day (UTC) was last."""
    today = datetime.combine(now.astimezone(UTC).date(), at, tzinfo=UTC)
    return today if today <= now else today - timedelta(days=1)


def _is_due(experiment: Experiment, *, now: datetime) -> bool:
    run: TimeseriesRun | None = getattr(experiment, "timeseries_run", None)
    if experiment.end_date is not None and experiment.end_date <= now:
        # Once more after its end, and after whatever may have moved that.
        return run is None or run.queued_at < max(experiment.end_date, experiment.updated_at)
    if run is None:
        # Its first time is the next one.
        TimeseriesRun.objects.get_or_create(experiment=experiment, defaults={"queued_at": now})
        return False
    return run.queued_at < last_occurrence(experiment.project.experiment_recalculation_time, now=now)


def _defer(experiment_id: int) -> None:
    from experiments.tasks import fill_timeseries  # noqa: PLC0415  (the task calls into this app)

    try:
        # The refusal of a second job must not end the caller's transaction.
        with transaction.atomic():
            fill_timeseries.configure(queueing_lock=f"timeseries-of-{experiment_id}").defer(experiment_id=experiment_id)
    except AlreadyEnqueued:
        return
