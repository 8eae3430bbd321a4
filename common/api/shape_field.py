"""How fields whose values are judged elsewhere are described: by a pydantic shape, or by another field."""

import copy
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers

from common.api.serializers import ParsedField
from common.api.shape_schemas import REFERENCE, components_of


class ShapeField(serializers.JSONField):
    """A document of the given shape, one or a union with a name of its own.

    The shape is for the OpenAPI document. The value passes as it was sent: which rules it must keep, and in which
    words it is refused, is the domain's business.
    """

    def __init__(self, shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.shape = shape


class ShapeFieldSchema(OpenApiSerializerFieldExtension):
    """Makes components of a ShapeField's shape."""

    target_class = ShapeField
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        name, components = components_of(self.target.shape)
        for component_name, schema in components.items():
            auto_schema.registry.register_on_missing(
                ResolvedComponent(
                    name=component_name,
                    type=ResolvedComponent.SCHEMA,
                    object=component_name,
                    schema=copy.deepcopy(schema),
                )
            )
        return {"$ref": REFERENCE.format(model=name)}


class ParsedFieldSchema(OpenApiSerializerFieldExtension):
    """Describes a ParsedField by the field it names."""

    target_class = ParsedField
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return auto_schema._map_serializer_field(self.target.described_by, direction)
