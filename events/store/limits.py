"""The time limit of statements: one that is cancelled leaves the transaction around it usable."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import OperationalError, transaction

from events.store.base import StoreTimeout


@contextmanager
def stopped_at_the_limit() -> Iterator[None]:
    """Statements in a savepoint of their own, or a transaction; raises StoreTimeout when one was cancelled."""
    try:
        with transaction.atomic():
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise StoreTimeout("a statement took longer than it may") from error
        raise
