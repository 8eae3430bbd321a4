"""The time that answers about events, persons and groups may take."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from common.errors import QueryTimeout
from events.store.base import StoreTimeout
from events.store.limits import time_limit


@contextmanager
def answered_in_time() -> Iterator[None]:
    """Each statement inside is cancelled at the limit of lists. Raises QueryTimeout then."""
    seconds: float = settings.LIST_STATEMENT_TIMEOUT_SECONDS
    try:
        with time_limit(seconds):
            yield
    except StoreTimeout as error:
        raise QueryTimeout(seconds) from error
