"""Metrics rolled up in advance for the experiments that want it (`exposure_preaggregation_enabled`)."""

from django.conf import settings
from django.utils import timezone

from events.store import event_store
from events.store.measures import RollupPlan
from experiments.results import preaggregation, report


def keep_up_to_date() -> int:
    """Roll up the metrics of all experiments that want it; returns how many experiments are up to date now."""
    plans = {
        experiment.pk: RollupPlan(exposure=design.exposure, measures=tuple(report.plans_of(experiment, design=design)))
        for experiment, design in preaggregation.wanted(now=timezone.now())
    }
    return event_store().roll_up(plans, timeout_seconds=settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS)
