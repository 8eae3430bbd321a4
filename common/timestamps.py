"""Times as answers show them, written by PostgreSQL: reading them into Python would take half the time of a list."""

from typing import Any

from django.db.models import F, Func, TextField


class TimestampText(Func):
    """The text of a time: UTC, ISO 8601 with `Z`, microseconds only when they are not zero; null stays null."""

    template = (
        "replace(to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '.000000Z', 'Z')"
    )

    def __init__(self, column: str, **extra: Any) -> None:
        super().__init__(F(column), output_field=TextField(), **extra)
