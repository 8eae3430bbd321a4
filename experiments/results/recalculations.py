"""Computing a metric's timeseries anew, on request: day by day, and after a restart from where it stopped."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate.exceptions import AlreadyEnqueued

from common.errors import Invalid, InvalidState
from events import retention
from experiments import metrics
from experiments.models import Experiment, RecalculationStatus, TimeseriesRecalculation
from experiments.models.timeseries import ACTIVE
from experiments.results import timeseries
from experiments.results.report import ListedMetric, Role, listed_metrics
from experiments.results.timeseries import Series

NOT_STARTED = "Cannot recalculate timeseries for experiment that hasn't started"
# An active one that has not moved for so long was left by a worker that is gone.
PATIENCE = timedelta(minutes=15)


def active(experiment: Experiment, fingerprint: str) -> TimeseriesRecalculation | None:
    """The recalculation of the series that waits or is under way."""
    return TimeseriesRecalculation.objects.filter(
        experiment=experiment, fingerprint=fingerprint, status__in=ACTIVE
    ).first()


def request(
    experiment: Experiment, *, metric: Mapping[str, Any], fingerprint: str
) -> tuple[TimeseriesRecalculation, bool]:
    """A recalculation of a locked experiment, and whether it is new: at most one is active for a fingerprint.

    A new one takes the stored points away. Raises InvalidState for a draft, and EventsExpired where the points could
    not be computed again.
    """
    if experiment.start_date is None:
        raise InvalidState(NOT_STARTED)
    present = active(experiment, fingerprint)
    if present is not None:
        return present, False
    retention.check_kept(experiment.start_date)
    made = TimeseriesRecalculation.objects.create(experiment=experiment, metric=metric, fingerprint=fingerprint)
    timeseries.points(experiment, metric_uuid=_uuid_of(metric), fingerprint=fingerprint).delete()
    defer(made)
    return made, True


def _uuid_of(metric: Mapping[str, Any]) -> str:
    uuid = metric.get("uuid")
    return uuid if isinstance(uuid, str) else ""


def defer(recalculation: TimeseriesRecalculation) -> None:
    """Queue the job unless one waits already."""
    from experiments.tasks import recalculate_timeseries  # noqa: PLC0415  (the task calls into this module)

    name = str(recalculation.pk)
    try:
        # The refusal of a second job must not end the caller's transaction.
        with transaction.atomic():
            recalculate_timeseries.configure(queueing_lock=f"timeseries-{name}").defer(recalculation_id=name)
    except AlreadyEnqueued:
        return


def run(recalculation_id: str) -> None:
    """Compute what is left of an active recalculation; one that is over is left alone."""
    found = TimeseriesRecalculation.objects.filter(pk=recalculation_id).first()
    if found is None:
        return
    with timeseries.alone(found.experiment_id):
        # It may have ended, or gone on, while this one waited.
        present = TimeseriesRecalculation.objects.filter(pk=recalculation_id, status__in=ACTIVE).first()
        if present is not None:
            _note(present, status=RecalculationStatus.IN_PROGRESS)
            _note(present, status=_outcome(present))


def _outcome(recalculation: TimeseriesRecalculation) -> RecalculationStatus:
    experiment = timeseries.find(recalculation.experiment_id)
    if experiment is None:
        return RecalculationStatus.FAILED
    series, refusal = _series(experiment, recalculation)
    hopeless = {} if refusal is None else {series.metric_uuid: refusal}
    now = timezone.now()
    stored = failed = 0
    for day in timeseries.days_of(experiment, now=now):
        if recalculation.last_successful_date is not None and day <= recalculation.last_successful_date:
            continue
        moment = timeseries.moment_of(experiment, day, now=now)
        ((_, failure),) = timeseries.store_points(experiment, [series], moment, hopeless=hopeless)
        if failure is None:
            stored += 1
            _note(recalculation, last_successful_date=day)
        elif failure.for_good:
            return RecalculationStatus.FAILED
        else:
            failed += 1
            _note(recalculation)
    nothing = failed and not stored and recalculation.last_successful_date is None
    return RecalculationStatus.FAILED if nothing else RecalculationStatus.COMPLETED


def _series(experiment: Experiment, recalculation: TimeseriesRecalculation) -> tuple[Series, str | None]:
    """What is to be computed, and why it cannot be where the metric is none."""
    uuid = _uuid_of(recalculation.metric)
    document, refusal = recalculation.metric, None
    try:
        document = metrics.parse_question(document)
    except Invalid as error:
        refusal = error.detail
    is_primary = any(one.uuid == uuid and one.role == "primary" for one in listed_metrics(experiment))
    role: Role = "primary" if is_primary else "secondary"
    listed = ListedMetric(document={**document, "uuid": uuid}, name=None, role=role, saved_metric_id=None)
    return Series(listed=listed, metric_uuid=uuid, fingerprint=recalculation.fingerprint), refusal


def _note(recalculation: TimeseriesRecalculation, **values: Any) -> None:
    for name, value in values.items():
        setattr(recalculation, name, value)
    recalculation.save(update_fields=[*values, "updated_at"])


def resume_abandoned() -> int:
    """Queue the active recalculations that no worker has moved for long; returns how many."""
    left = TimeseriesRecalculation.objects.filter(status__in=ACTIVE, updated_at__lt=timezone.now() - PATIENCE)
    for recalculation in left:
        defer(recalculation)
    return len(left)
