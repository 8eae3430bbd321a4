"""Instants on the wire: ISO 8601 in, UTC out."""

from datetime import UTC, datetime
from typing import Any

from common.errors import Invalid

FORMATS = "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]"


def parse_datetime(value: Any, *, attr: str) -> datetime:
    """An instant from ISO 8601 text: seconds and zone optional, no zone is UTC, a bare date its midnight.

    Raises Invalid with `attr`, code `overflow` when the instant lies outside the years 1 to 9999.
    """
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Invalid(f"Datetime has wrong format. Use one of these formats instead: {FORMATS}.", attr=attr) from error
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        raise Invalid("Datetime value out of range.", code="overflow", attr=attr) from error


def format_datetime(value: datetime) -> str:
    """The instant in UTC, `2021-12-01T10:23:00Z`, microseconds only when they are not zero."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
