"""Exposures of one flag, with and without what is kept of them in advance."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from events.store import event_store, exposed
from events.store.measures import AggregatePlan, Funnel, Math, Mean, Value
from events.store.plans import ExposurePlan, MultipleVariants, Selection, Step
from projects.models import Project
from tests.capturing import event

EXPERIMENT = 7
START = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
END = datetime(2026, 1, 20, 15, tzinfo=UTC)
Json = dict[str, Any]


def plan_of(project: Project, **changes: Any) -> ExposurePlan:
    plan: Json = {
        "project_id": project.pk,
        "flag_key": "f",
        "variants": ("control", "test"),
        "start": START,
        "end": END,
        "zone": "UTC",
        "handling": MultipleVariants.EXCLUDE,
        **changes,
    }
    return ExposurePlan(**plan)


def call(distinct_id: str, variant: str, time: datetime, **properties: Any) -> Json:
    sent = {"$feature_flag": "f", "$feature_flag_response": variant, **properties}
    return event("$feature_flag_called", distinct_id, timestamp=time.isoformat(), properties=sent)


def aggregate(*plans: ExposurePlan) -> int:
    given = {EXPERIMENT + number: plan for number, plan in enumerate(plans)}
    return event_store().preaggregate(given, timeout_seconds=60)


@contextmanager
def snapshot() -> Iterator[None]:
    with event_store().snapshot(timeout_seconds=60):
        yield


def seen(plan: ExposurePlan, *, kept_for: int | None) -> tuple[Any, ...]:
    """All that results take from the exposures: the units, and sums. To be called inside a snapshot."""
    units = event_store().expose(plan, preaggregated_for=kept_for)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {exposed.UNITS} ORDER BY person, group_key")
        rows = cursor.fetchall()
    steps = (Selection(steps=(Step(event="bought"),)),)
    funnel = units.aggregate(AggregatePlan(exposure=plan, measure=Funnel(steps=steps), window_seconds=86400))
    mean = units.aggregate(AggregatePlan(exposure=plan, measure=Mean(value=Value(selection=steps[0], math=Math.TOTAL))))
    return rows, units.by_day().by_day, funnel, mean


def same_both_ways(plan: ExposurePlan, *, kept_for: int = EXPERIMENT) -> tuple[Any, ...]:
    """What is seen, which is the same with and without the rows kept in advance."""
    with snapshot():
        direct = seen(plan, kept_for=None)
        assert seen(plan, kept_for=kept_for) == direct
    return direct


def is_precomputed(plan: ExposurePlan) -> bool:
    with snapshot():
        return event_store().expose(plan, preaggregated_for=EXPERIMENT).is_precomputed
