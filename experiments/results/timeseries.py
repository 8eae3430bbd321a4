"""Results by day: for each metric one point a day, cumulative from the start, each from data up to its own end only."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from django.db import Error, transaction
from django.utils import timezone

from common.errors import DomainError
from events.store.base import StoreTimeout
from experiments.fingerprint import fingerprint
from experiments.metric_set import context_of
from experiments.models import Experiment, ExperimentMetricResult, PointStatus
from experiments.results import cache, health, report
from experiments.results.days import day_before, days_between, end_of
from experiments.results.report import Cut, ListedMetric, MetricOutcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric's timeseries."""

    listed: ListedMetric
    metric_uuid: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no point; `for_good`: on no day there will be one."""

    message: str
    for_good: bool


def find(experiment_id: int) -> Experiment | None:
    """The launched experiment with all that its results look at; None when there is none any more."""
    return (
        Experiment.objects.select_related("project", "feature_flag")
        .filter(pk=experiment_id, deleted=False, start_date__isnull=False)
        .first()
    )


def zone_of(experiment: Experiment) -> ZoneInfo:
    return ZoneInfo(experiment.project.timezone)


def days_of(experiment: Experiment, *, now: datetime) -> Sequence[date]:
    """The days of a launched experiment's series: to its end, or to today if that is earlier."""
    if experiment.start_date is None:
        raise TypeError("a draft has no days")
    return days_between(experiment.start_date, until(experiment, now=now), zone_of(experiment))


def until(experiment: Experiment, *, now: datetime) -> datetime:
    """Where the series ends: at the experiment's end, or now."""
    end = experiment.end_date
    return now if end is None or end > now else end


def series_of(experiment: Experiment) -> list[Series]:
    """The series of all the experiment's metrics, by their present fingerprints."""
    context = context_of(experiment)
    return [
        Series(listed=one, metric_uuid=one.uuid, fingerprint=fingerprint(one.document, context))
        for one in report.listed_metrics(experiment)
    ]


def alone(experiment_id: int) -> Any:
    """A context in which nobody else calculates the experiment's timeseries."""
    return cache.alone(sha256(f"timeseries of {experiment_id}".encode()).hexdigest())


def fill(experiment_id: int) -> None:
    """Store what is missing of all series of an experiment: every past day, and today's point up to now."""
    with alone(experiment_id):
        experiment = find(experiment_id)
        if experiment is None:
            return
        now = timezone.now()
        missing = list(series_of(experiment))
        hopeless: dict[str, str] = {}
        for day in days_of(experiment, now=now):
            moment = moment_of(experiment, day, now=now)
            lacking = [one for one in missing if not has_point(experiment, one, moment)]
            for one, failure in store_points(experiment, lacking, moment, hopeless=hopeless):
                if failure is not None and failure.for_good:
                    hopeless[one.metric_uuid] = failure.message


def moment_of(experiment: Experiment, day: date, *, now: datetime) -> datetime:
    """Up to when the day's point reads: its end, on the last day that of the experiment, today now."""
    return min(end_of(day, zone_of(experiment)), until(experiment, now=now))


def points(experiment: Experiment, *, metric_uuid: str, fingerprint: str) -> Any:
    """The stored points of a series."""
    return ExperimentMetricResult.objects.filter(
        experiment=experiment, metric_uuid=metric_uuid, fingerprint=fingerprint
    )


def has_point(experiment: Experiment, series: Series, moment: datetime) -> bool:
    """Whether the point of exactly this moment is completed."""
    stored = points(experiment, metric_uuid=series.metric_uuid, fingerprint=series.fingerprint)
    found: bool = stored.filter(query_to=moment, status=PointStatus.COMPLETED).exists()
    return found


def store_points(
    experiment: Experiment, wanted: Sequence[Series], moment: datetime, *, hopeless: Mapping[str, str] | None = None
) -> list[tuple[Series, Failure | None]]:
    """Compute the points of one moment, all from one cut of the data, and store each or why there is none.

    `hopeless`: what is known to fail for these metrics, which are not tried again.
    """
    known = hopeless or {}
    computed: list[tuple[Series, dict[str, Any] | None, Failure | None]] = [
        (one, None, Failure(message=known[one.metric_uuid], for_good=True))
        for one in wanted
        if one.metric_uuid in known
    ]
    tried = [one for one in wanted if one.metric_uuid not in known]
    if tried:
        computed += _computed(experiment, tried, moment)
    for one, result, failure in computed:
        _store(experiment, one, moment, result=result, failure=failure)
    return [(one, failure) for one, _, failure in computed]


def _computed(
    experiment: Experiment, tried: Sequence[Series], moment: datetime
) -> list[tuple[Series, dict[str, Any] | None, Failure | None]]:
    try:
        cut = report.take_cut(experiment, now=moment, listed=[one.listed for one in tried])
    except (DomainError, StoreTimeout, Error) as error:
        logger.warning("no timeseries point", extra={"fields": {"experiment": experiment.pk}}, exc_info=True)
        failure = _failure_of(error)
        return [(one, None, failure) for one in tried]
    found = health.findings(experiment, cut)
    return [(one, *_outcome(outcome, cut, found)) for one, outcome in zip(tried, cut.outcomes, strict=True)]


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, DomainError):
        return Failure(message=error.detail, for_good=True)
    message = report.timeout_text() if isinstance(error, StoreTimeout) else "The database refused."
    return Failure(message=message, for_good=False)


def _outcome(
    outcome: MetricOutcome, cut: Cut, found: Sequence[health.Finding]
) -> tuple[dict[str, Any] | None, Failure | None]:
    shown = report.result_answer(outcome, cut, found)
    if shown is not None:
        return {"kind": "ExperimentQuery", **shown}, None
    code, message = outcome.error or ("", "")
    return None, Failure(message=message, for_good=code != report.TIMED_OUT)


def _store(
    experiment: Experiment,
    series: Series,
    moment: datetime,
    *,
    result: dict[str, Any] | None,
    failure: Failure | None,
) -> None:
    status = PointStatus.FAILED if failure else PointStatus.COMPLETED
    with transaction.atomic():
        points(experiment, metric_uuid=series.metric_uuid, fingerprint=series.fingerprint).update_or_create(
            experiment=experiment,
            metric_uuid=series.metric_uuid,
            fingerprint=series.fingerprint,
            query_to=moment,
            defaults={
                "query_from": experiment.start_date,
                "status": status,
                "result": result,
                "completed_at": None if failure else timezone.now(),
                "error_message": failure.message if failure else None,
            },
        )


def shown(experiment: Experiment, *, metric_uuid: str, fingerprint: str, now: datetime) -> dict[str, Any]:
    """The series of a launched experiment as its readers get it, without what concerns recalculations."""
    zone, end = zone_of(experiment), experiment.end_date
    stored = points(experiment, metric_uuid=metric_uuid, fingerprint=fingerprint)
    if end is not None:
        # An end that was moved back leaves points behind it.
        stored = stored.filter(query_to__lte=end)
    rows = list(stored.order_by("query_to"))
    # The latest completed point of a day is the last one in here.
    results = {day_before(row.query_to, zone): row.result for row in rows if row.status == PointStatus.COMPLETED}
    errors = {day_before(row.query_to, zone): row.error_message for row in rows if row.status == PointStatus.FAILED}
    days = days_of(experiment, now=now)
    return {
        "experiment_id": experiment.pk,
        "metric_uuid": metric_uuid,
        "status": _status(days, results, errors),
        "timeseries": {day.isoformat(): results.get(day) for day in days},
        "errors": {day.isoformat(): text for day, text in errors.items() if day not in results} or None,
        "computed_at": max((row.completed_at for row in rows if row.completed_at), default=None),
        "created_at": min((row.created_at for row in rows), default=experiment.created_at),
        "updated_at": max((row.updated_at for row in rows), default=experiment.updated_at),
    }


def _status(days: Sequence[date], results: Mapping[date, Any], errors: Mapping[date, Any]) -> str:
    if not results:
        return "failed" if errors else "pending"
    return "completed" if all(day in results for day in days) else "partial"
