"""Removing what was computed once and is read by nothing any more, so that the tables do not grow for ever.

What can still be asked for and could not be computed again always stays: the newest answer to each question, the
answers of experiments that have ended, every answer of an experiment whose first events have expired, and the points
of timeseries.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from events import retention
from experiments.models import Experiment, RecalculationStatus, StoredAnswer, TimeseriesRecalculation

KEPT = timedelta(days=90)
BATCH_SIZE = 500
# What is more than that in one day waits for the next.
MOST_BATCHES = 200
_OVER = (RecalculationStatus.COMPLETED, RecalculationStatus.FAILED)


def remove_old(*, now: datetime) -> int:
    """Remove, batch by batch, what is not needed any more; returns how many rows that were."""
    over = TimeseriesRecalculation.objects.filter(status__in=_OVER, updated_at__lt=now - KEPT)
    return sum(_remove(rows) for rows in (_of_no_experiment(), _superseded(now), over))


def _of_no_experiment() -> QuerySet[StoredAnswer]:
    """Answers of experiments that are gone for good, with their project; deleted ones can be restored."""
    return StoredAnswer.objects.filter(~Exists(Experiment.objects.filter(pk=OuterRef("experiment_id"))))


def _superseded(now: datetime) -> QuerySet[StoredAnswer]:
    """Old answers, of experiments that went on, to a question that has a newer one: the settings were others then."""
    newer = StoredAnswer.objects.filter(
        experiment_id=OuterRef("experiment_id"),
        question=OuterRef("question"),
        computed_at__gt=OuterRef("computed_at"),
    )
    found = StoredAnswer.objects.filter(Exists(newer), is_final=False, computed_at__lt=now - KEPT)
    oldest = retention.cut(now)
    if oldest is not None:
        # If the settings become the same again, nothing else can tell.
        expired = Experiment.objects.filter(pk=OuterRef("experiment_id"), start_date__lt=oldest)
        found = found.filter(~Exists(expired))
    return found


def _remove(rows: QuerySet[Any]) -> int:
    removed = 0
    for _ in range(MOST_BATCHES):
        keys = list(rows.values_list("pk", flat=True)[:BATCH_SIZE])
        # Asked again: what has been computed anew meanwhile stays.
        removed += rows.filter(pk__in=keys).delete()[0]
        if len(keys) < BATCH_SIZE:
            break
    return removed
