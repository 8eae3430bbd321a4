"""Hearing of changes that other processes commit, without asking: PostgreSQL notifies, one connection listens.

Triggers on the tables send the id of the project whose definitions changed (migration `tell_changes`), in the
transaction of the change, so that nothing is told that was not committed and nothing committed is left untold.
"""

import copy
import time
from collections.abc import Sequence

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

CHANNEL = "flag_definitions"
_RETRY_SECONDS = 5.0
# A peer that vanishes without a word is noticed by the kernel, which then fails the next look at the connection.
_KEEPALIVE = {
    "connect_timeout": 2,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class ChangeListener:
    """The listening connection of this process. Not safe for threads; its owner holds a lock."""

    def __init__(self) -> None:
        self._wrapper: BaseDatabaseWrapper | None = None
        self._retry_at = 0.0

    def heard(self) -> Sequence[str] | None:
        """The messages that have arrived since the last call. Takes about a microsecond and never waits.

        None while nothing can be heard: then, and when a first answer follows, anything may have changed.
        """
        if self._wrapper is None:
            return None
        try:
            pgconn = self._wrapper.connection.pgconn
            pgconn.consume_input()
            messages: list[str] = []
            while (message := pgconn.notifies()) is not None:
                messages.append(message.extra.decode())
        except psycopg.Error:
            self.close()
            self._retry_at = 0.0
            return None
        return messages

    def listen(self) -> bool:
        """Begin to listen, unless that has failed a moment ago. Whether this process listens now."""
        if self._wrapper is None and time.monotonic() >= self._retry_at:
            settings = copy.deepcopy(connections.settings[DEFAULT_DB_ALIAS])
            settings["OPTIONS"] = {**settings.get("OPTIONS", {}), **_KEEPALIVE}
            # A connection out of a pool would be handed to others.
            settings["OPTIONS"].pop("pool", None)
            wrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, DEFAULT_DB_ALIAS)
            wrapper.inc_thread_sharing()
            try:
                wrapper.connect()
                with wrapper.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
            except Error:
                wrapper.close()
                self._retry_at = time.monotonic() + _RETRY_SECONDS
            else:
                self._wrapper = wrapper
        return self._wrapper is not None

    def close(self) -> None:
        """Stop listening."""
        if self._wrapper is not None:
            self._wrapper.close()
            self._wrapper = None
