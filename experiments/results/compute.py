"""From an experiment to its numbers: all metrics from one cut of the data, the exposures found once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.errors import Invalid
from events.store.base import ExposedUnits
from events.store.measures import Actor, Actors, AggregatePlan, Aggregates, Breakdown, Sums
from experiments.metrics import Metric
from experiments.metrics.sources import NotConnected
from experiments.results.design import Design
from experiments.results.selections import Selections
from experiments.results.settings import Settings
from stats import analysis
from stats.analysis import Analysis
from stats.samples import Sample
from stats.srm import SampleRatioMismatch, sample_ratio_mismatch

DEFAULT_BREAKDOWN_LIMIT = 25
NOT_CONNECTED = "data-warehouse-not-connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One variant: its sums, and the sample that the statistics see."""

    key: str
    sums: Sums
    sample: Sample
    # Of a funnel, where they were asked for: some units whose furthest step is each step.
    sessions: list[list[Actor]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All arms of one metric, or of one breakdown value of it, analysed. Treatments are in flag order."""

    baseline: Arm
    treatments: tuple[Arm, ...]
    analysis: Analysis
    values: tuple[str, ...] = ()
    mismatch: SampleRatioMismatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """A metric's comparison over all units, and per breakdown value when it is broken down."""

    whole: Comparison
    with_covariate: bool
    breakdowns: tuple[Comparison, ...] | None = None


def plan_of(
    metric: Metric,
    *,
    design: Design,
    settings: Settings,
    matured_only: bool,
    select: Selections,
    breakdowns: Sequence[Breakdown],
) -> AggregatePlan:
    """What the event store is asked for. Raises Invalid with a code when it cannot be computed."""
    try:
        measure = metric.measure(select)
    except NotConnected:
        raise Invalid("Data warehouse tables are not connected to this project.", code=NOT_CONNECTED) from None
    takes_covariate = settings.cuped and metric.takes_covariate
    return AggregatePlan(
        exposure=design.exposure,
        measure=measure,
        window_seconds=metric.window_seconds,
        matured_only=matured_only,
        lookback_seconds=settings.lookback_days * 86400 if takes_covariate else None,
        breakdowns=tuple(breakdowns),
    )


def breakdowns_of(metric: Metric, *, override: Sequence[str] | None) -> tuple[Breakdown, ...]:
    """The properties a metric is broken down by; those of a request replace its own."""
    if override is not None:
        return tuple(Breakdown(property=name) for name in override)
    given = metric.breakdownFilter.breakdowns if metric.breakdownFilter else None
    return tuple(Breakdown(property=str(one.property), of_person=one.type == "person") for one in given or ())


def limit_of(metric: Metric) -> int:
    """How many breakdown values are shown."""
    given = metric.breakdownFilter.breakdown_limit if metric.breakdownFilter else None
    return DEFAULT_BREAKDOWN_LIMIT if given is None else given


def result_of(
    metric: Metric,
    *,
    units: ExposedUnits,
    plan: AggregatePlan,
    design: Design,
    settings: Settings,
    baseline: str,
    with_sessions: bool = False,
) -> MetricResult:
    """A metric's numbers from the exposed units of a snapshot; `with_sessions`: of a funnel also single units."""
    with_covariate = plan.lookback_seconds is not None
    found = units.aggregate(plan)
    whole = found
    if plan.breakdowns:
        # Winsorising has a pool of its own per breakdown value, so the whole is another computation.
        whole = units.aggregate(_without_breakdowns(plan))
    shown = _most_seen(found, design)[: limit_of(metric)] if plan.breakdowns else []
    sessions: Actors | None = None
    if with_sessions and metric.metric_type == "funnel":
        sessions = units.actors(_without_breakdowns(plan))
        if shown:
            sessions |= units.actors(plan, values=set(shown))

    def compared(values: tuple[str, ...], aggregates: Aggregates) -> Comparison:
        arms = {}
        for key in design.variants:
            arm = _arm(metric, key, aggregates.get((values, key)), with_covariate=with_covariate)
            if sessions is not None:
                nobody: list[list[Actor]] = [[] for _ in range(len(arm.sums.step_counts) + 1)]
                arm = replace(arm, sessions=sessions.get((values, key), nobody))
            arms[key] = arm
        base = arms.pop(baseline)
        return Comparison(
            baseline=base,
            treatments=tuple(arms.values()),
            analysis=analysis.analyse(
                metric_type=metric.metric_type,
                baseline=base.sample,
                treatments=[arm.sample for arm in arms.values()],
                test=settings.test,
                difference_type=settings.difference_type,
            ),
            values=values,
            mismatch=_mismatch([base, *arms.values()], design) if values else None,
        )

    broken_down = tuple(compared(values, found) for values in shown) if plan.breakdowns else None
    return MetricResult(whole=compared((), whole), with_covariate=with_covariate, breakdowns=broken_down)


def _without_breakdowns(plan: AggregatePlan) -> AggregatePlan:
    return replace(plan, breakdowns=())


def _arm(metric: Metric, key: str, sums: Sums | None, *, with_covariate: bool) -> Arm:
    if sums is None:
        steps = len(metric.series) if metric.metric_type == "funnel" else 0
        sums = Sums(step_counts=[0] * steps)
    return Arm(key=key, sums=sums, sample=metric.sample(sums, with_covariate=with_covariate))


def _most_seen(found: Aggregates, design: Design) -> list[tuple[str, ...]]:
    """The breakdown values by falling number of units, then by value."""
    units: dict[tuple[str, ...], int] = {}
    for (values, arm), sums in found.items():
        if arm in design.shares:
            units[values] = units.get(values, 0) + sums.n
    return sorted(units, key=lambda values: (-units[values], values))


def _mismatch(arms: Iterable[Arm], design: Design) -> SampleRatioMismatch | None:
    return sample_ratio_mismatch(observed={arm.key: arm.sums.n for arm in arms}, weights=_with_traffic(design))


def _with_traffic(design: Design) -> dict[str, float]:
    return {key: share for key, share in design.shares.items() if share > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureCounts:
    """Units per arm: in all, and by day of first exposure."""

    totals: Mapping[str, int]
    by_day: Mapping[tuple[str, Any], int]
    mismatch: SampleRatioMismatch | None


def counts_of(units: ExposedUnits, design: Design) -> ExposureCounts:
    """The exposures of a snapshot."""
    by_day = units.by_day().by_day
    totals: dict[str, int] = dict.fromkeys(design.variants, 0)
    for (arm, _), number in by_day.items():
        totals[arm] = totals.get(arm, 0) + number
    return ExposureCounts(
        totals=totals,
        by_day=by_day,
        mismatch=sample_ratio_mismatch(observed=totals, weights=_with_traffic(design)),
    )
