"""Fields of request bodies whose documented meaning is narrower than the REST framework's."""

import math
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NoReturn

from django.core.validators import BaseValidator
from rest_framework import serializers

from common.datetimes import format_datetime, parse_datetime
from common.errors import Invalid

_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})


class BooleanField(serializers.BooleanField):
    """True or false, also as `"true"`, `"false"`, `"1"`, `"0"`, 1 and 0; nothing else."""

    def to_internal_value(self, data: Any) -> bool:
        if isinstance(data, bool | int | float) and data in (0, 1):
            return bool(data)
        if not isinstance(data, str) or data.lower() not in _TRUE | _FALSE:
            self.fail("invalid", input=data)
        return data.lower() in _TRUE


class NumberField(serializers.FloatField):
    """A finite number; a boolean is none, nor is an integer beyond a double."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or (isinstance(data, int) and abs(data) > sys.float_info.max):
            self.fail("invalid")
        number: float = super().to_internal_value(data)
        if not math.isfinite(number):  # the texts "nan" and "inf"
            self.fail("invalid")
        return number


class AboveValidator(BaseValidator):
    """The value must be greater than the limit itself."""

    message = "Ensure this value is greater than %(limit_value)s."
    code = "min_value"

    def compare(self, a: Any, b: Any) -> bool:
        return bool(a <= b)


class DateTimeField(serializers.DateTimeField):
    """`parse_datetime` and `format_datetime` as a field."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_datetime(value, attr=self.field_name or "")
        except Invalid as error:
            raise serializers.ValidationError(error.detail, code=error.code) from error

    def to_representation(self, value: Any) -> Any:
        return format_datetime(value) if isinstance(value, datetime) else value


class OneOf(serializers.CharField):
    """A text out of a set known only at run time, such as the names of time zones."""

    def __init__(self, *, names: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = names

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if text not in self.names:
            _refuse_choice(text)
        return text


def _refuse_choice(text: str) -> NoReturn:
    raise serializers.ValidationError(f'"{text}" is not a valid choice.', code="invalid_choice")
