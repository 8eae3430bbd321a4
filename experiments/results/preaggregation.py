"""Exposures kept in advance for the experiments that want it (`exposure_preaggregation_enabled`)."""

from django.conf import settings
from django.utils import timezone

from common.errors import Invalid
from events import retention
from events.store import event_store
from experiments.models import Experiment
from experiments.results.design import PrecomputationMode, design_of


def kept_for(experiment: Experiment, *, mode: PrecomputationMode | None = None) -> int | None:
    """The id under which the experiment's exposures are kept; None when they are to be read from the events."""
    return experiment.pk if experiment.exposure_preaggregation_enabled and mode != "direct" else None


def keep_up_to_date() -> int:
    """Aggregate the ended days of all experiments that want it; returns how many windows were made anew."""
    now = timezone.now()
    plans = {}
    experiments = Experiment.objects.filter(
        exposure_preaggregation_enabled=True, deleted=False, start_date__lt=now
    ).select_related("project", "feature_flag")
    for experiment in experiments:
        try:
            plan = design_of(experiment, now=now).exposure
            retention.check_kept(plan.start, now=now)
        except Invalid:
            # No results either; the error is theirs to tell.
            continue
        plans[experiment.pk] = plan
    return event_store().preaggregate(plans, timeout_seconds=settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS)
