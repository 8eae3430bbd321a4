"""ShapeField: a nested document in a request or an answer, described by its pydantic shape."""

import copy
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers

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
