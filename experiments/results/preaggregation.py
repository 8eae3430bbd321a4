"""Exposures kept in advance for the experiments that want it (`exposure_preaggregation_enabled`)."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from common.errors import Invalid
from events import retention
from events.store import event_store
from experiments.models import Experiment
from experiments.results.design import Design, PrecomputationMode, design_of


def kept_for(experiment: Experiment, *, mode: PrecomputationMode | None = None) -> int | None:
    """The id under which the experiment's exposures are kept; None when they are to be read from the events."""
    return experiment.pk if experiment.exposure_preaggregation_enabled and mode != "direct" else None


def keep_up_to_date() -> int:
    """Aggregate the ended days of all experiments that want it; returns how many windows were made anew."""
    plans = {experiment.pk: design.exposure for experiment, design in wanted(now=timezone.now())}
    return event_store().preaggregate(plans, timeout_seconds=settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS)


def wanted(*, now: datetime) -> Iterator[tuple[Experiment, Design]]:
    """The launched experiments that want it, as of now."""
    experiments = Experiment.objects.filter(
        exposure_preaggregation_enabled=True, deleted=False, start_date__lt=now
    ).select_related("project", "feature_flag")
    for experiment in experiments:
        try:
            design = design_of(experiment, now=now)
            retention.check_kept(design.exposure.start, now=now)
        except Invalid:
            # No results either; the error is theirs to tell.
            continue
        yield experiment, design
