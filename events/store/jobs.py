"""Jobs of which one at a time is at work, in all processes together, by an advisory lock for each name."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_LOCK = "hashtextextended(%s, 0)"


@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Whether nobody else is at the job of this name; nobody else gets at it until the end."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({_LOCK})", [name])
        (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            if mine:
                cursor.execute(f"SELECT pg_advisory_unlock({_LOCK})", [name])


def wait(name: str) -> None:
    """Wait until nobody is at the job, and keep others from it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", [name])
