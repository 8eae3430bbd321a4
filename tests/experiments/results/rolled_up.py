"""Rollups of one experiment, and the time that passes between storing and reading."""

from datetime import timedelta

from django.db import connection
from django.db.models import F

from events.models import DeletedPerson, Rollup
from events.store import event_store
from events.store.measures import AggregatePlan, RollupPlan
from tests.experiments.results.kept_exposures import EXPERIMENT


def roll_up(*plans: AggregatePlan) -> int:
    """What the job does for one experiment with these measures, all of the same units."""
    plan = RollupPlan(exposure=plans[0].exposure, measures=plans)
    return event_store().roll_up({EXPERIMENT: plan}, timeout_seconds=60)


def roll_up_in_peace(*plans: AggregatePlan) -> int:
    """The same long after all that is stored, and long before what comes: only that is new to the rollup."""
    an_hour_passes()
    made = roll_up(*plans)
    an_hour_passes()
    return made


def an_hour_passes() -> None:
    """All that has been stored is an hour older: a test's transaction stores everything at one moment."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_event SET created_at = created_at - interval '1 hour'")
    DeletedPerson.objects.update(noted_at=F("noted_at") - timedelta(hours=1))
    Rollup.objects.update(stored_before=F("stored_before") - timedelta(hours=1))
