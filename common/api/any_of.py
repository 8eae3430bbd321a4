"""Answers of one of several forms that no single property tells apart."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers


class AnyOf(serializers.Serializer[Any]):
    """For the OpenAPI document: one of these serializers, as a component of this name."""

    def __init__(self, component_name: str, forms: list[type[serializers.Serializer[Any]]]) -> None:
        super().__init__()
        self.component_name = component_name
        self.forms = forms


class AnyOfSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the library registers subclasses so
    """Describes an AnyOf by its forms."""

    target_class = AnyOf

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        name: str = self.target.component_name
        return name

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"anyOf": [auto_schema.resolve_serializer(form, direction).ref for form in self.target.forms]}
