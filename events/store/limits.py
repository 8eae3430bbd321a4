"""The time limit of statements: one that is cancelled leaves the transaction around it usable."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import OperationalError, connection, transaction

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


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """A transaction, or a part of one, each of whose statements is cancelled at the limit. Raises StoreTimeout then."""
    own = not connection.in_atomic_block
    with stopped_at_the_limit(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [max(1, round(seconds * 1000))])
        yield
        if not own:
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
