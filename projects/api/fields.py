"""Fields of request bodies of this app."""

from collections.abc import Iterator
from datetime import time
from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers


class TimeZoneNames:
    """The IANA names that this machine knows; read when first asked for."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def _known(self) -> frozenset[str]:
        self._names = self._names or frozenset(available_timezones())
        return self._names

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._known()))


class TimeOfDayField(serializers.CharField):
    """`HH:MM`, a minute of the day."""

    default_error_messages = {"invalid": "Time has wrong format. Use one of these formats instead: hh:mm."}

    def to_internal_value(self, data: Any) -> Any:
        text: str = super().to_internal_value(data)
        if len(text) != len("hh:mm"):
            self.fail("invalid")
        try:
            return time.fromisoformat(text)
        except ValueError:
            self.fail("invalid")


class RelatedId(serializers.IntegerField):
    """The id of another row. Whether there is such a row is for the service to say."""

    default_error_messages = {"incorrect_type": "Incorrect type. Expected pk value, received {received}."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) <= self.MAX_STRING_LENGTH:
            return int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("incorrect_type", received=type(data).__name__)
        return data
