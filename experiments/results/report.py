"""One results answer: exposures, every metric and the health findings, from one cut of the data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.conf import settings as django_settings
from pydantic import ValidationError

from common.datetimes import format_datetime
from common.errors import Invalid, InvalidState, QueryTimeout
from events import retention
from events.store import event_store
from events.store.base import MULTIPLE, ExposedUnits, StoreTimeout
from events.store.measures import AggregatePlan
from experiments import metrics
from experiments.metric_set import LISTS, ORDER_OF_LIST, links_of
from experiments.models import Experiment
from experiments.results import answers, compute, health, preaggregation
from experiments.results.compute import ExposureCounts, MetricResult
from experiments.results.design import Design, PrecomputationMode, design_of
from experiments.results.selections import Selections
from experiments.results.settings import Settings, baseline_of, settings_of
from stats.multiplicity import adjust_family
from stats.results import FrequentistResult
from stats.srm import BiasRisk, bias_risk

NOT_STARTED = "Experiment has not been started yet"
Role = Literal["primary", "secondary"]
INVALID_METRIC = "invalid-metric"
TIMED_OUT = "query-timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMetric:
    """A metric of the experiment, inline or saved, in its place."""

    document: dict[str, Any]
    name: str | None
    role: Role
    saved_metric_id: int | None

    @property
    def uuid(self) -> str:
        uuid: str = self.document["uuid"]
        return uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricOutcome:
    """What became of a metric: its result, or the code and sentence of why there is none."""

    listed: ListedMetric
    metric: metrics.Metric | None = None
    result: MetricResult | None = None
    is_precomputed: bool = False
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What was computed from one state of the data."""

    design: Design
    settings: Settings
    baseline: str
    counts: ExposureCounts
    risk: BiasRisk | None
    outcomes: tuple[MetricOutcome, ...]


def timeout_seconds() -> float:
    """How long one statement may take."""
    seconds: float = django_settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS
    return seconds


def timeout_text() -> str:
    """What is said of a computation that took longer than it may."""
    return QueryTimeout(timeout_seconds()).detail


def listed_metrics(experiment: Experiment) -> list[ListedMetric]:
    """All metrics, primary first, each list in its stored order."""
    found: dict[Role, list[ListedMetric]] = {"primary": [], "secondary": []}
    roles: dict[str, Role] = {"metrics": "primary", "metrics_secondary": "secondary"}
    for name in LISTS:
        found[roles[name]] += [
            ListedMetric(document=one, name=one.get("name"), role=roles[name], saved_metric_id=None)
            for one in getattr(experiment, name)
        ]
    for link in links_of(experiment):
        role: Role = "primary" if link.is_primary else "secondary"
        found[role].append(
            ListedMetric(
                document=link.query, name=link.saved_metric.name, role=role, saved_metric_id=link.saved_metric_id
            )
        )
    ordered = []
    for name in LISTS:
        places = {uuid: place for place, uuid in enumerate(getattr(experiment, ORDER_OF_LIST[name]) or ())}
        ordered += sorted(found[roles[name]], key=lambda listed: places.get(listed.uuid, len(places)))
    return ordered


def take_cut(
    experiment: Experiment,
    *,
    now: datetime,
    listed: Sequence[ListedMetric],
    breakdown: Sequence[str] | None = None,
    mode: PrecomputationMode | None = None,
    with_sessions: bool = False,
) -> Cut:
    """Compute the metrics of a started experiment from one snapshot; `with_sessions`: of funnels also single units.

    Exposures kept in advance are used where the experiment wants it, unless the mode is `direct`: the numbers are the
    same.

    A metric that cannot be computed has an error and leaves the others alone. Raises InvalidState for a draft,
    Invalid when the exposures cannot be computed, EventsExpired when the first of the events are not kept any more,
    StoreTimeout when the exposures take too long.
    """
    if experiment.start_date is None:
        raise InvalidState(NOT_STARTED)
    retention.check_kept(experiment.start_date)
    design = design_of(experiment, now=now)
    settings = settings_of(experiment.stats_config)
    baseline = baseline_of(experiment.stats_config, design.variants)
    store = event_store()
    with store.snapshot(timeout_seconds=timeout_seconds()):
        units = store.expose(design.exposure, preaggregated_for=preaggregation.kept_for(experiment, mode=mode))
        counts = compute.counts_of(units, design)
        select = Selections(experiment.project)
        planned = [
            _planned(one, experiment=experiment, design=design, settings=settings, select=select, breakdown=breakdown)
            for one in listed
        ]
        outcomes = tuple(
            _outcomes(
                listed,
                planned,
                units=units,
                design=design,
                settings=settings,
                baseline=baseline,
                with_sessions=with_sessions,
            )
        )
    return Cut(
        design=design,
        settings=settings,
        baseline=baseline,
        counts=counts,
        risk=risk_of(counts, design, is_running=experiment.end_date is None),
        outcomes=outcomes,
    )


def plans_of(experiment: Experiment, *, design: Design) -> Iterator[AggregatePlan]:
    """What the event store is asked for the metrics of a design; those that cannot be computed are left out."""
    settings = settings_of(experiment.stats_config)
    select = Selections(experiment.project)
    for one in listed_metrics(experiment):
        planned = _planned(one, experiment=experiment, design=design, settings=settings, select=select, breakdown=None)
        if isinstance(planned, tuple):
            yield planned[1]


def risk_of(counts: ExposureCounts, design: Design, *, is_running: bool) -> BiasRisk | None:
    """Whether leaving out those who saw several variants may bias the comparison."""
    return bias_risk(
        units_per_arm={key: counts.totals.get(key, 0) for key in design.variants},
        multiple_variant_units=counts.totals.get(MULTIPLE, 0),
        percentages=list(design.shares.values()),
        is_running=is_running,
        handling=design.exposure.handling.value,
    )


def _planned(
    listed: ListedMetric,
    *,
    experiment: Experiment,
    design: Design,
    settings: Settings,
    select: Selections,
    breakdown: Sequence[str] | None,
) -> tuple[metrics.Metric, AggregatePlan] | MetricOutcome:
    """What the event store is to be asked for a metric, or the outcome with the reason why it cannot be."""
    try:
        metric = metrics.read(listed.document)
    except ValidationError:
        return MetricOutcome(listed=listed, error=(INVALID_METRIC, "The stored metric cannot be read any more."))
    try:
        select.require_actions(metrics.action_ids([listed.document]))
        plan = compute.plan_of(
            metric,
            design=design,
            settings=settings,
            matured_only=experiment.only_count_matured_users,
            select=select,
            breakdowns=compute.breakdowns_of(metric, override=breakdown),
        )
    except Invalid as error:
        code = error.code if error.code != "invalid_input" else INVALID_METRIC
        return MetricOutcome(listed=listed, metric=metric, error=(code, error.detail))
    return metric, plan


def _outcomes(
    listed: Sequence[ListedMetric],
    planned: Sequence[tuple[metrics.Metric, AggregatePlan] | MetricOutcome],
    *,
    units: ExposedUnits,
    design: Design,
    settings: Settings,
    baseline: str,
    with_sessions: bool,
) -> Iterator[MetricOutcome]:
    units.expect([one[1] for one in planned if isinstance(one, tuple)])
    for place, one in zip(listed, planned, strict=True):
        if isinstance(one, MetricOutcome):
            yield one
            continue
        metric, plan = one
        try:
            result = compute.result_of(
                metric,
                units=units,
                plan=plan,
                design=design,
                settings=settings,
                baseline=baseline,
                with_sessions=with_sessions,
            )
        except StoreTimeout:
            yield MetricOutcome(listed=place, metric=metric, error=(TIMED_OUT, timeout_text()))
        else:
            kept = units.is_precomputed_for(plan)
            yield MetricOutcome(listed=place, metric=metric, result=result, is_precomputed=kept)


def results_answer(experiment: Experiment, cut: Cut, *, computed_at: datetime) -> dict[str, Any]:
    """The body of a results answer, without what concerns its freshness."""
    plan = cut.design.exposure
    found = health.findings(experiment, cut)
    return {
        "experiment_id": experiment.pk,
        "as_of": format_datetime(plan.end),
        "window": {
            "date_from": format_datetime(plan.start),
            "date_to": format_datetime(plan.end),
            "timezone": plan.zone,
            "closed": not cut.design.is_open,
        },
        "computed_at": format_datetime(computed_at),
        "settings": {
            **cut.settings.shown(),
            "baseline_variant_key": cut.baseline,
            "multiple_variant_handling": plan.handling.value,
            "only_count_matured_users": experiment.only_count_matured_users,
            "excluded_variants": experiment.excluded_variants,
        },
        "exposures": answers.exposures_answer(
            cut.counts,
            cut.design,
            risk=cut.risk,
            warnings=health.exposure_findings(cut.counts, cut.design, risk=cut.risk),
        ),
        "health": found,
        "metrics": _adjusted([_metric_answer(outcome, cut, found) for outcome in cut.outcomes], cut),
    }


def result_answer(outcome: MetricOutcome, cut: Cut, found: Sequence[health.Finding]) -> dict[str, Any] | None:
    """The numbers of a metric with those of the findings that concern it; None where there are none."""
    if outcome.metric is None or outcome.result is None:
        return None
    warnings = health.concerning(found, metric_uuid=outcome.listed.uuid)
    return answers.metric_answer(
        outcome.metric,
        outcome.result,
        method=cut.settings.method,
        warnings=warnings,
        is_precomputed=outcome.is_precomputed,
    )


def _metric_answer(outcome: MetricOutcome, cut: Cut, found: Sequence[health.Finding]) -> dict[str, Any]:
    listed = outcome.listed
    error = None if outcome.error is None else {"code": outcome.error[0], "message": outcome.error[1]}
    return {
        "uuid": listed.uuid,
        "name": listed.name,
        "metric_type": listed.document.get("metric_type"),
        "goal": listed.document.get("goal") or "increase",
        "role": listed.role,
        "saved_metric_id": listed.saved_metric_id,
        "fingerprint": listed.document.get("fingerprint"),
        "error": error,
        "result": result_answer(outcome, cut, found),
    }


def _adjusted(shown: list[dict[str, Any]], cut: Cut) -> list[dict[str, Any]]:
    """The answers with adjusted p-values: the family is all treatments of all primary metrics."""
    family: list[FrequentistResult | None] = []
    places: list[dict[str, Any]] = []
    for outcome, answer in zip(cut.outcomes, shown, strict=True):
        if outcome.result is None:
            continue
        treatments = outcome.result.whole.analysis.treatments
        for treatment, place in zip(treatments, answer["result"]["variant_results"], strict=True):
            place["p_value_adjusted"] = place["confidence_interval_adjusted"] = None
            if outcome.listed.role == "primary" and isinstance(treatment.result, FrequentistResult):
                family.append(treatment.result)
                places.append(place)
    adjusted = adjust_family(correction=cut.settings.multiplicity, results=family, alpha=cut.settings.alpha)
    for place, member in zip(places, adjusted, strict=True):
        place["p_value_adjusted"] = member.p_value_adjusted
        interval = member.confidence_interval_adjusted
        place["confidence_interval_adjusted"] = None if interval is None else list(interval)
    return shown


def primary_results(outcomes: Iterable[MetricOutcome]) -> list[tuple[ListedMetric, MetricResult]]:
    """The primary metrics that have numbers."""
    return [
        (outcome.listed, outcome.result)
        for outcome in outcomes
        if outcome.listed.role == "primary" and outcome.result is not None
    ]
