"""Results that cannot be computed any more, as the first of their events are not kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from events.retention import EventsExpired
from experiments.models import Experiment
from experiments.results import report
from experiments.results.compute import ExposureCounts
from experiments.results.design import design_of
from experiments.results.report import Cut, ListedMetric, MetricOutcome
from experiments.results.settings import baseline_of, settings_of


def expired_answer(
    experiment: Experiment, *, listed: Sequence[ListedMetric], error: EventsExpired, now: datetime
) -> dict[str, Any]:
    """The body of a results answer in which every metric has the error, for an experiment without a stored one.

    Its exposures are empty, as those of an experiment without a start are: how many there were is not known, which is
    another thing than nobody.
    """
    design = design_of(experiment, now=now)
    cut = Cut(
        design=design,
        settings=settings_of(experiment.stats_config),
        baseline=baseline_of(experiment.stats_config, design.variants),
        counts=ExposureCounts(totals={}, by_day={}, mismatch=None),
        risk=None,
        outcomes=tuple(MetricOutcome(listed=one, error=(error.code, error.detail)) for one in listed),
    )
    body = report.results_answer(experiment, cut, computed_at=now)
    return {
        **body,
        "exposures": {**body["exposures"], "timeseries": [], "total_exposures": {}, "warnings": []},
        "health": [finding for finding in body["health"] if finding["code"] != "no_exposures"],
    }
