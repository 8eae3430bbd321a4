"""Questions that need not be stored: one metric of an experiment, or the exposures of any window, flag and criteria."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from django.utils import timezone

from common.datetimes import format_datetime
from common.errors import Invalid, InvalidState
from events.store.base import StoreTimeout
from events.store.measures import AggregatePlan
from experiments import exposure_criteria, metrics
from experiments.metrics.breakdowns import MAX_BREAKDOWNS, TOO_MANY
from experiments.models import Experiment
from experiments.results import cache, compute, health, report, requests
from experiments.results.design import Design, PrecomputationMode, design_of, make_design
from experiments.results.health import minimum_detectable_effect
from experiments.results.report import ListedMetric
from experiments.results.selections import Selections
from experiments.results.settings import Settings, baseline_of, settings_of
from experiments.results.spec import ASKED_EXPOSURES, AnalysisSpec
from projects.models import Project

# What of a metric says nothing about its numbers; whether a change is welcome is told after they are known.
_LABELS = ("uuid", "name", "fingerprint", "goal")
_NEVER = datetime.max.replace(tzinfo=UTC)


class Freshness(Enum):
    """Whether a stored answer will do: a fresh one, none, or any and nothing else."""

    FRESH = "fresh"
    COMPUTED_NOW = "computed now"
    STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureQuestion:
    """Whose exposures are asked for. Without a start the answer is empty."""

    flag_key: str
    variants: Sequence[Mapping[str, Any]]
    unit_group: int | None
    criteria: Any
    start: datetime | None
    end: datetime | None


def metric(
    *,
    project: Project,
    experiment_id: int,
    document: Any,
    freshness: Freshness,
    mode: PrecomputationMode | None,
) -> dict[str, Any]:
    """The numbers of one metric in a launched experiment, with the envelope of an answer that may be stored.

    Raises Invalid when the question cannot be answered, StoreTimeout when answering it takes too long.
    """
    experiment = _experiment(project, experiment_id)
    if experiment.start_date is None:
        raise InvalidState(report.NOT_STARTED)
    parsed = _parsed(document)
    design = design_of(experiment, now=timezone.now())
    settings = settings_of(experiment.stats_config)
    plan = _plan(parsed, experiment=experiment, design=design, settings=settings)
    nameless = {name: value for name, value in parsed.items() if name not in _LABELS}
    listed = ListedMetric(document={**nameless, "uuid": ""}, name=None, role="primary", saved_metric_id=None)
    spec = _metric_spec(experiment, nameless, plan=plan, design=design, settings=settings, mode=mode)

    def computed(now: datetime) -> dict[str, Any]:
        cut = report.take_cut(experiment, now=now, listed=[listed], mode=mode, with_sessions=True)
        return {"kind": "ExperimentQuery", **_only_result(experiment, cut)}

    shown = _answered(spec, freshness=freshness, zone=project.timezone, compute=computed)
    return shown if "results" in shown else _labelled(shown, parsed, experiment)


def exposures(
    *, project: Project, experiment_id: int, question: ExposureQuestion, freshness: Freshness
) -> dict[str, Any]:
    """Who was exposed, with the envelope of an answer that may be stored. Raises what `metric` raises."""
    experiment = _experiment(project, experiment_id)
    flag = experiment.feature_flag

    def design_at(now: datetime) -> Design:
        return make_design(
            project=project,
            # A deleted flag has another key than the one it was called by.
            flag_key=flag.plain_key if question.flag_key == flag.key else question.flag_key,
            variants=question.variants,
            unit_group=question.unit_group,
            criteria=_criteria(question.criteria),
            excluded=(),
            start=question.start or _NEVER,
            end=question.end,
            now=now,
        )

    design = design_at(timezone.now())
    spec = AnalysisSpec(
        experiment_id=experiment.pk,
        kind=ASKED_EXPOSURES,
        design=design,
        parts=(question.start is None, question.end is None),
    )

    def computed(now: datetime) -> dict[str, Any]:
        if question.start is None:
            return _no_exposures(design_at(now))
        return requests.exposures_of(design_at(now), is_running=question.end is None)

    return _answered(spec, freshness=freshness, zone=project.timezone, compute=computed)


def _answered(spec: AnalysisSpec, *, freshness: Freshness, zone: str, compute: cache.Compute) -> dict[str, Any]:
    if freshness is Freshness.STORED:
        known = cache.last_known(spec)
        return requests.empty_envelope(spec.digest, zone=zone) if known is None else requests.envelope(known, zone=zone)
    answered = cache.answer(spec, compute=compute, refresh=freshness is Freshness.COMPUTED_NOW)
    return requests.envelope(answered, zone=zone)


def _experiment(project: Project, experiment_id: int) -> Experiment:
    rows = Experiment.objects.select_related("feature_flag").filter(project=project, deleted=False)
    # A number beyond the column is nobody's id.
    found = rows.filter(pk=experiment_id).first() if 0 < experiment_id < 2**63 else None
    if found is None:
        raise Invalid(f"Experiment with id {experiment_id} not found")
    found.project = project
    return found


def _parsed(document: Any) -> dict[str, Any]:
    broken_down = document.get("breakdownFilter") if isinstance(document, dict) else None
    breakdowns = broken_down.get("breakdowns") if isinstance(broken_down, dict) else None
    if isinstance(breakdowns, list) and len(breakdowns) > MAX_BREAKDOWNS:
        raise Invalid(TOO_MANY)
    return metrics.parse_question(document)


def _plan(parsed: Mapping[str, Any], *, experiment: Experiment, design: Design, settings: Settings) -> AggregatePlan:
    select = Selections(experiment.project)
    select.require_actions(metrics.action_ids([parsed]))
    read = metrics.read(parsed)
    return compute.plan_of(
        read,
        design=design,
        settings=settings,
        matured_only=experiment.only_count_matured_users,
        select=select,
        breakdowns=compute.breakdowns_of(read, override=None),
    )


def _metric_spec(
    experiment: Experiment,
    nameless: Mapping[str, Any],
    *,
    plan: AggregatePlan,
    design: Design,
    settings: Settings,
    mode: PrecomputationMode | None,
) -> AnalysisSpec:
    resolved = asdict(plan)
    # The design says it, and an open window ends whenever it is looked at.
    del resolved["exposure"]
    return AnalysisSpec(
        experiment_id=experiment.pk,
        kind="metric",
        design=design,
        parts=(
            nameless,
            resolved,
            # Corrections for many metrics do not concern a single one.
            asdict(replace(settings, multiplicity="none")),
            baseline_of(experiment.stats_config, design.variants),
            minimum_detectable_effect(experiment),
            experiment.end_date is None,
            mode,
        ),
        asked=(nameless, mode),
    )


def _only_result(experiment: Experiment, cut: report.Cut) -> dict[str, Any]:
    outcome = cut.outcomes[0]
    shown = report.result_answer(outcome, cut, health.findings(experiment, cut))
    if shown is not None:
        return shown
    code, message = outcome.error or ("", "")
    if code == report.TIMED_OUT:
        raise StoreTimeout(message)
    raise Invalid(message, code=None if code == report.INVALID_METRIC else code)


def _labelled(shown: dict[str, Any], parsed: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """The answer for a metric of this name and goal; warnings about primary metrics are for those only."""
    uuid = parsed.get("uuid")
    primary = {one.uuid for one in report.listed_metrics(experiment) if one.role == "primary"}
    warnings = [{**found, "data": {**found["data"], "metric_uuid": uuid}} for found in shown["warnings"]]
    shown = {**shown, "warnings": warnings if uuid in primary else []}
    if parsed.get("goal") == "decrease":
        treatments = [*shown["variant_results"]]
        for value in shown["breakdown_results"] or ():
            treatments += value["variants"]
        for treatment in treatments:
            if treatment["favourable"] is not None:
                treatment["favourable"] = not treatment["favourable"]
    return shown


def _criteria(sent: Any) -> dict[str, Any] | None:
    try:
        return exposure_criteria.parse(sent, creating=False)
    except Invalid as error:
        raise Invalid(error.detail, code=error.code, attr=f"query__{error.attr}") from error


def _no_exposures(design: Design) -> dict[str, Any]:
    return {
        "kind": "ExperimentExposureQuery",
        "timeseries": [],
        "total_exposures": {},
        "date_range": {"date_from": None, "date_to": format_datetime(design.exposure.end), "explicitDate": True},
        "sample_ratio_mismatch": None,
        "bias_risk": None,
        "warnings": [],
    }
