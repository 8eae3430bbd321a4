"""What has to be known of a unit's rows to follow it through a funnel. Pure."""

from datetime import timedelta

from events.store.exposures import FLAG_CALL
from events.store.measures import AggregatePlan, Funnel, FunnelOrder

# Without a window of its own a funnel has this one.
LONGEST_ATTEMPT = timedelta(days=3 * 365)
# More steps than that are followed in memory: each is another layer of the statement.
LAYERS = 20


def window_of(plan: AggregatePlan) -> timedelta:
    """How long after its exposure an attempt may take."""
    return LONGEST_ATTEMPT if plan.window_seconds is None else timedelta(seconds=plan.window_seconds)


def needs_attempts(plan: AggregatePlan, measure: Funnel) -> bool:
    """Whether other rows than a unit's first exposure may matter: those from which an attempt may begin.

    They do not when the first exposure leaves time for everything and no step can be an exposure itself.
    """
    exposure = plan.exposure
    leaves_time = window_of(plan) >= exposure.end - exposure.start
    # The name of a step's events, None when they may have any.
    names = [step.event for selection in measure.steps for step in selection.steps]
    of_flag_calls = exposure.selection is None and exposure.activation is None
    return not (
        measure.order is FunnelOrder.ORDERED
        and leaves_time
        and of_flag_calls
        and all(name not in (None, FLAG_CALL) for name in names)
    )


def is_plain(plan: AggregatePlan, measure: Funnel) -> bool:
    """Whether each step is the earliest row no earlier than the one before.

    So it is when all begins with the first exposure, and names alone tell the steps apart: no row matches two.
    """
    return len(measure.steps) <= LAYERS and not needs_attempts(plan, measure) and _has_disjoint_steps(measure)


def _has_disjoint_steps(measure: Funnel) -> bool:
    seen: set[str] = set()
    for selection in measure.steps:
        names = {step.event for step in selection.steps if step.event is not None}
        if len(names) < len({step.event for step in selection.steps}) or names & seen:
            return False
        seen |= names
    return True
