"""What pydantic says of a shape, in the words of OpenAPI 3.0."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from rest_framework import serializers

from common.api.shape_field import ShapeField
from common.api.shape_schemas import components_of, named
from common.property_filters import PropertyFilter
from common.shapes import Shape


class Cat(Shape):
    """For maintainers."""

    kind: Literal["cat"]
    lives: int = 9


class Dog(Shape):
    kind: Literal["dog"]
    master: Cat | None = None


Pet = named("Pet", Annotated[Cat | Dog, Field(discriminator="kind")])


def test_union__is_a_component_with_its_discriminator() -> None:
    name, components = components_of(Pet)

    assert name == "Pet"
    assert sorted(components) == ["Cat", "Dog", "Pet"]
    assert components["Pet"] == {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"},
        },
    }


def test_shape__is_a_component_without_the_words_of_its_class() -> None:
    name, components = components_of(Cat)

    assert name == "Cat"
    assert components == {
        "Cat": {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": ["cat"]}, "lives": {"type": "integer", "default": 9}},
            "required": ["kind"],
            "additionalProperties": False,
        }
    }


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str | None, {"type": "string", "nullable": True}),
        (int | float | None, {"type": "number", "nullable": True}),
        (Literal["a", "b"] | None, {"type": "string", "enum": ["a", "b", None], "nullable": True}),
        (Annotated[float, Field(gt=0)], {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        (str | bool | None, {"anyOf": [{"type": "string"}, {"type": "boolean"}], "nullable": True}),
        (Cat | None, {"allOf": [{"$ref": "#/components/schemas/Cat"}], "nullable": True}),
        (list[Cat], {"type": "array", "items": {"$ref": "#/components/schemas/Cat"}}),
        (dict[str, Any], {"type": "object", "additionalProperties": {}}),
        (None, {"type": "string", "maxLength": 0, "nullable": True}),
    ],
    ids=str,
)
def test_member__in_words_of_3_0(annotation: Any, schema: dict[str, Any]) -> None:
    shape = type("Holder", (Shape,), {"__annotations__": {"member": annotation}, "__module__": __name__})

    assert components_of(shape)[1]["Holder"]["properties"]["member"] == schema


def test_union_that_no_one_member_tells_apart__is_one_object_with_the_members_of_all() -> None:
    _, components = components_of(PropertyFilter)
    shown = components["PropertyFilter"]

    assert sorted(components) == ["FilterValue", "PropertyFilter"]
    assert set(shown) == {"type", "properties", "additionalProperties"}
    assert shown["properties"]["key"] == {"type": "string"}
    assert shown["properties"]["value"] == {"$ref": "#/components/schemas/FilterValue"}
    assert {"event", "person", "cohort", "hogql", None} <= set(shown["properties"]["type"]["enum"])
    assert set(shown["properties"]) >= {"group_type_index", "cohort_name", "label"}


def test_field__passes_its_value_as_sent() -> None:
    class Owner(serializers.Serializer[Any]):
        pet = ShapeField(Pet)

    serializer = Owner(data={"pet": {"kind": "unicorn", "lives": [1.0]}})

    assert serializer.is_valid()
    assert serializer.validated_data == {"pet": {"kind": "unicorn", "lives": [1.0]}}
