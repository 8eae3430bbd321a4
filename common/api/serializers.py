"""Bases of the serializers that read requests."""

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import SkipField
from rest_framework.settings import api_settings

AnyField = serializers.Field[Any, Any, Any, Any]


class RequestSerializer(serializers.Serializer[Any]):
    """Reads fields in the order they are declared and refuses the first that is wrong.

    A field may raise `common.errors.Invalid` itself, whose attr then stands as it is.
    """

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            message = f"Invalid data. Expected a dictionary, but got {type(data).__name__}."
            raise serializers.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]})
        values: dict[str, Any] = {}
        for field in self._writable_fields:
            name = field.field_name or ""
            try:
                values[name] = field.run_validation(field.get_value(data))
            except SkipField:
                continue
            except serializers.ValidationError as error:
                raise serializers.ValidationError({name: error.detail}) from error
        return values

    def read(self) -> dict[str, Any]:
        """The values of the fields that were sent. Raises ValidationError or Invalid for the first wrong one."""
        self.is_valid(raise_exception=True)
        values: dict[str, Any] = self.validated_data
        return values


class ParsedField(serializers.Field[Any, Any, Any, Any]):
    """A field whose value, null included, is judged by a function of the domain.

    `described_by` is the field that tells callers of the OpenAPI document what it takes.
    """

    def __init__(self, parse: Callable[[Any], Any], *, described_by: AnyField, **options: Any) -> None:
        super().__init__(**{"required": False, "write_only": True, **options})
        self.parse = parse
        self.described_by = described_by

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (False, None) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        return self.parse(data)
