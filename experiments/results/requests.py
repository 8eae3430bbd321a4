"""Results and exposures of a stored experiment as its readers ask for them: from the cache, or computed now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from common.datetimes import format_datetime
from common.errors import Invalid, InvalidState
from events import retention
from events.retention import EventsExpired
from events.store import event_store
from experiments import metrics
from experiments.metrics.breakdowns import MAX_BREAKDOWNS, TOO_MANY
from experiments.models import Experiment
from experiments.results import answers, cache, compute, health, preaggregation, report
from experiments.results.cache import Answered
from experiments.results.design import Design, design_of
from experiments.results.expired import expired_answer
from experiments.results.report import ListedMetric
from experiments.results.selections import Selections
from experiments.results.spec import AnalysisSpec, spec_of


def require_started(experiment: Experiment) -> None:
    """Raise InvalidState for a draft."""
    if experiment.start_date is None:
        raise InvalidState(report.NOT_STARTED)


def results(
    experiment: Experiment, *, metric_uuid: str | None = None, breakdown: Sequence[str] = (), refresh: bool = False
) -> dict[str, Any]:
    """The results answer: every metric, or one, from one cut of the data.

    Raises InvalidState for a draft, Invalid for an unknown metric, too many breakdowns or exposures that cannot be
    computed, StoreTimeout when the exposures take too long. Of events that have expired the last stored answer tells;
    without one every metric has an error.
    """
    require_started(experiment)
    if len(breakdown) > MAX_BREAKDOWNS:
        raise Invalid(TOO_MANY)
    listed = report.listed_metrics(experiment)
    if metric_uuid is not None and all(one.uuid != metric_uuid for one in listed):
        raise Invalid(f"Metric '{metric_uuid}' does not belong to this experiment.", attr="metric_uuid")
    spec = _results_spec(experiment, listed=listed, breakdown=breakdown)

    def computed(now: datetime) -> dict[str, Any]:
        cut = report.take_cut(experiment, now=now, listed=listed, breakdown=list(breakdown) or None)
        return report.results_answer(experiment, cut, computed_at=now)

    try:
        answered = cache.answer(spec, compute=computed, refresh=refresh)
    except EventsExpired as error:
        now = timezone.now()
        unknown = expired_answer(experiment, listed=listed, error=error, now=now)
        # It is not kept: a longer retention makes it untrue at once.
        answered = Answered(key=spec.digest, body=unknown, computed_at=now, fresh_until=now, is_cached=False)
    body = _with_freshness(answered)
    if metric_uuid is not None:
        # The family of the adjusted p-values stays all primary metrics.
        body["metrics"] = [metric for metric in body["metrics"] if metric["uuid"] == metric_uuid]
    return body


def stored_results(experiment: Experiment) -> dict[str, Any] | None:
    """The last stored results answer, however old; None without one. Raises what `results` raises, StoreTimeout not."""
    require_started(experiment)
    spec = _results_spec(experiment, listed=report.listed_metrics(experiment), breakdown=())
    span = cache.fresh_for(is_open=spec.design.is_open)
    answered = cache.stored(spec.digest, span=span, however_old=True)
    return None if answered is None else _with_freshness(answered)


def _results_spec(experiment: Experiment, *, listed: Sequence[ListedMetric], breakdown: Sequence[str]) -> AnalysisSpec:
    design = design_of(experiment, now=timezone.now())
    documents = [(one.document, one.name, one.role, _actions_of(experiment, one.document)) for one in listed]
    return spec_of(experiment, kind="results", design=design, documents=documents, breakdown=list(breakdown) or None)


def _actions_of(experiment: Experiment, document: dict[str, Any]) -> list[Any]:
    """The present steps of a metric's actions: with them the numbers change."""
    select = Selections(experiment.project)
    found: list[Any] = []
    for action_id in sorted(metrics.action_ids([document])):
        try:
            found.append(select.of_action(action_id))
        except Invalid as error:
            found.append(error.code)
    return found


def exposures(experiment: Experiment, *, refresh: bool = False) -> dict[str, Any]:
    """The exposures answer. Raises what `results` raises, and EventsExpired where there is no stored one to serve."""
    require_started(experiment)
    design = design_of(experiment, now=timezone.now())
    spec = spec_of(experiment, kind="exposures", design=design, documents=(), breakdown=None)

    def computed(now: datetime) -> dict[str, Any]:
        return exposures_of(
            design_of(experiment, now=now),
            is_running=experiment.end_date is None,
            preaggregated_for=preaggregation.kept_for(experiment),
        )

    return envelope(cache.answer(spec, compute=computed, refresh=refresh), zone=design.exposure.zone)


def exposures_of(design: Design, *, is_running: bool, preaggregated_for: int | None = None) -> dict[str, Any]:
    """The exposures of a design, computed now; with what is kept in advance for the experiment of that id.

    Raises EventsExpired when the first of its events are not kept.
    """
    retention.check_kept(design.exposure.start)
    with event_store().snapshot(timeout_seconds=report.timeout_seconds()):
        counts = compute.counts_of(event_store().expose(design.exposure, preaggregated_for=preaggregated_for), design)
    risk = report.risk_of(counts, design, is_running=is_running)
    warnings = health.exposure_findings(counts, design, risk=risk)
    shown = answers.exposures_answer(counts, design, risk=risk, warnings=warnings)
    return {"kind": "ExperimentExposureQuery", **shown}


def _with_freshness(answered: Answered) -> dict[str, Any]:
    return {
        **answered.body,
        "is_cached": answered.is_cached,
        "fresh_until": format_datetime(answered.fresh_until),
    }


def envelope(answered: Answered, *, zone: str) -> dict[str, Any]:
    """An answer of the query endpoint's form with what it says of its freshness."""
    return {
        **answered.body,
        **_freshness(answered.key, zone=zone),
        "is_cached": answered.is_cached,
        "last_refresh": format_datetime(answered.computed_at),
        "cache_target_age": format_datetime(answered.fresh_until),
        "next_allowed_client_refresh": format_datetime(answered.computed_at),
    }


def empty_envelope(key: str, *, zone: str) -> dict[str, Any]:
    """What is said where nothing has been computed yet and nothing is to be."""
    return {"results": None, **_freshness(key, zone=zone)}


def _freshness(key: str, *, zone: str) -> dict[str, Any]:
    return {
        "cache_key": key,
        "is_cached": False,
        "last_refresh": None,
        "cache_target_age": None,
        "next_allowed_client_refresh": None,
        "timezone": zone,
    }
