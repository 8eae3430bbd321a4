"""One state of the data for several statements, and the memory and time that each of them has."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from events.store import exposed
from events.store.limits import stopped_at_the_limit

# Memory for the tables of units and their values, which are looked up row by row; and how closely the tables of the
# connection are analysed: their sizes matter, their values hardly.
_PLENTY = "SET LOCAL work_mem = '64MB'; SET LOCAL default_statistics_target = 10"


@contextmanager
def snapshot(*, timeout_seconds: float, read_only: bool = True) -> Iterator[None]:
    """Everything read inside sees one state of the data; each statement is cancelled at the limit.

    Raises StoreTimeout when one was.
    """
    # Inside a transaction that has begun otherwise its isolation cannot be changed any more.
    own = not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(exposed.TABLES)
    with stopped_at_the_limit(), connection.cursor() as cursor:
        if own:
            mode = "READ ONLY" if read_only else "READ WRITE"
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {mode}")
        cursor.execute("SET LOCAL statement_timeout = %s", [max(1, round(timeout_seconds * 1000))])
        cursor.execute(_PLENTY)
        yield
        if not own:
            cursor.execute(
                "SET LOCAL statement_timeout = DEFAULT; SET LOCAL work_mem = DEFAULT; "
                "SET LOCAL default_statistics_target = DEFAULT"
            )
