"""Results of made-up sums, without any event: a store that hands out what a test tells it to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from events.store.base import MULTIPLE, ExposedUnits
from events.store.measures import AggregatePlan, Aggregates, Sums
from experiments import metrics
from experiments.models import Experiment
from experiments.results import compute, report
from experiments.results.design import design_of
from experiments.results.report import Cut, ListedMetric, MetricOutcome, Role
from experiments.results.selections import Selections
from experiments.results.settings import baseline_of, settings_of
from feature_flags.models import FeatureFlag
from projects.models import Project

Json = dict[str, Any]
STARTED, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
VARIANTS = ("control", "test", "third")


class Handed:
    """Units of which a store hands out just these sums, whole and for one value of a breakdown."""

    def __init__(self, arms: Mapping[str, Sums], *, multiple: int = 0) -> None:
        self.arms = arms
        self.multiple = multiple

    def aggregate(self, plan: AggregatePlan, *args: Any, **kwargs: Any) -> Aggregates:
        values = tuple("Firefox" for _ in plan.breakdowns)
        return {(values, key): sums for key, sums in self.arms.items()}

    def by_day(self) -> Any:
        units = {(key, NOW.date()): sums.n for key, sums in self.arms.items()}
        return SimpleNamespace(by_day=units | ({(MULTIPLE, NOW.date()): self.multiple} if self.multiple else {}))


def experiment_with(*, weights: Sequence[float] = (50, 50), flag: Json | None = None, **fields: Any) -> Experiment:
    """A running experiment that is in no database, with the first of `VARIANTS` at these percentages."""
    variants = [{"key": key, "rollout_percentage": share} for key, share in zip(VARIANTS, weights, strict=False)]
    given = {"pk": 7, "key": "button", "active": True, **(flag or {})}
    fields = {"exposure_criteria": {"filterTestAccounts": False}, "stats_config": {}, **fields}
    return Experiment(
        pk=1,
        project=Project(pk=1),
        feature_flag=FeatureFlag(filters={"multivariate": {"variants": variants}}, **given),
        start_date=STARTED,
        **fields,
    )


def cut_of(
    experiment: Experiment,
    arms: Mapping[str, Sums],
    *,
    document: Json | None = None,
    role: Role = "primary",
    multiple: int = 0,
) -> Cut:
    """What is computed of those sums, with one metric or with none."""
    design, chosen = design_of(experiment, now=NOW), settings_of(experiment.stats_config)
    baseline = baseline_of(experiment.stats_config, design.variants)
    units = cast(ExposedUnits, Handed(arms, multiple=multiple))
    outcomes: tuple[MetricOutcome, ...] = ()
    if document is not None:
        metric = metrics.read(metrics.parse_metric(document, attr=None))
        plan = compute.plan_of(
            metric,
            design=design,
            settings=chosen,
            matured_only=False,
            select=Selections(experiment.project),
            breakdowns=compute.breakdowns_of(metric, override=None),
        )
        result = compute.result_of(metric, units=units, plan=plan, design=design, settings=chosen, baseline=baseline)
        listed = ListedMetric(document=document, name=None, role=role, saved_metric_id=None)
        outcomes = (MetricOutcome(listed=listed, metric=metric, result=result),)
    counts = compute.counts_of(units, design)
    return Cut(
        design=design,
        settings=chosen,
        baseline=baseline,
        counts=counts,
        risk=report.risk_of(counts, design, is_running=experiment.end_date is None),
        outcomes=outcomes,
    )
