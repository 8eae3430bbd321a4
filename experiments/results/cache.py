"""Answers that were computed before, by the digest of what went into them. Of many who ask at once one computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from events.retention import EventsExpired
from events.store.base import StoreTimeout
from experiments.models import StoredAnswer
from experiments.results.spec import AnalysisSpec

# Makes an answer as of the moment that it is given.
Compute = Callable[[datetime], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer and where it came from."""

    key: str
    body: dict[str, Any]
    computed_at: datetime
    fresh_until: datetime
    is_cached: bool


def fresh_for(*, is_open: bool) -> timedelta:
    """How long an answer serves: until more events have come, or for long once the window is closed."""
    name = "EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN" if is_open else "EXPERIMENT_RESULTS_FRESH_SECONDS_CLOSED"
    return timedelta(seconds=getattr(settings, name))


def answer(spec: AnalysisSpec, *, compute: Compute, refresh: bool = False) -> Answered:
    """A fresh stored answer, else one that `compute` makes as of the moment it is given; with `refresh` always that.

    When the events have expired the stored answer serves, however old, and EventsExpired is raised where there is none.
    Raises StoreTimeout when somebody else computes it for longer than one statement may take.
    """
    asked_at = timezone.now()
    span = fresh_for(is_open=spec.design.is_open)
    key = spec.digest
    found = None if refresh else stored(key, span=span)
    if found is not None:
        return found
    with alone(key, patience_seconds=settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS):
        # Somebody else may have computed it while this one waited.
        found = stored(key, span=span)
        if found is not None and (not refresh or found.computed_at >= asked_at):
            return found
        now = timezone.now()
        try:
            body = compute(now)
        except EventsExpired:
            last = stored(key, span=span, however_old=True)
            if last is None:
                raise
            return last
        StoredAnswer.objects.update_or_create(
            key=key,
            defaults={
                "experiment_id": spec.experiment_id,
                "question": spec.question,
                "is_final": spec.is_final,
                "body": body,
                "computed_at": now,
            },
        )
    return Answered(key=key, body=body, computed_at=now, fresh_until=now + span, is_cached=False)


def stored(key: str, *, span: timedelta, however_old: bool = False) -> Answered | None:
    """The stored answer, unless it is older than `span`."""
    row = StoredAnswer.objects.filter(key=key).first()
    if row is None or (not however_old and row.computed_at + span <= timezone.now()):
        return None
    return Answered(
        key=key, body=row.body, computed_at=row.computed_at, fresh_until=row.computed_at + span, is_cached=True
    )


def last_known(spec: AnalysisSpec) -> Answered | None:
    """The stored answer however old, None where there is none; nothing is computed."""
    return stored(spec.digest, span=fresh_for(is_open=spec.design.is_open), however_old=True)


@contextmanager
def alone(key: str, *, patience_seconds: float | None = None) -> Iterator[None]:
    """Nobody else is inside with the same digest, in any process.

    Raises StoreTimeout when it was somebody else's turn for all of the time, which has no end where none is given.
    """
    number = int(key[:15], 16)
    with connection.cursor() as cursor:
        with nullcontext() if patience_seconds is None else _waiting_at_most(patience_seconds):
            cursor.execute("SELECT pg_advisory_lock(%s)", [number])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


@contextmanager
def _waiting_at_most(seconds: float) -> Iterator[None]:
    """A transaction, whose end leaves locks of the session alone."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # Unlike the limit of statements it ends nothing that has just been got.
            cursor.execute("SET LOCAL lock_timeout = %s", [max(1, round(seconds * 1000))])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise StoreTimeout("somebody else computes the answer for longer than it may take") from error
        raise
