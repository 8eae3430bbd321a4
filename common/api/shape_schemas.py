"""Shapes as components of the OpenAPI document: the JSON schema that pydantic writes, in the words of OpenAPI 3.0."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypeAliasType

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"


@cache
def components_of(shape: Any) -> tuple[str, dict[str, Schema]]:
    """The name of a shape's component, and all components that it needs, itself among them.

    A union is called as its `TypeAliasType` is, a single shape as its class.
    """
    written = TypeAdapter(list[shape]).json_schema(ref_template=REFERENCE)
    definitions = {name: _component(schema, written["$defs"]) for name, schema in written["$defs"].items()}
    name = written["items"]["$ref"].rpartition("/")[2]
    return name, {key: definitions[key] for key in _reachable(name, definitions)}


def named(name: str, union: Any) -> Any:
    """The union as a type whose component is called `name`."""
    return TypeAliasType(name, union)


def _component(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    if "oneOf" in schema and "discriminator" not in schema:
        return _merged([definitions[member["$ref"].rpartition("/")[2]] for member in schema["oneOf"]])
    # What a class says of itself is for its maintainers.
    return _translated({key: value for key, value in schema.items() if key != "description"})


def _translated(schema: Schema) -> Schema:
    shown: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and value is None):
            continue
        if key == "const":
            shown["enum"] = [value]
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            shown[key.replace("exclusiveM", "m")] = value
            shown[key] = True
        elif key == "properties":
            shown[key] = {name: _translated(member) for name, member in value.items()}
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            shown[key] = _translated(value)
        elif key == "additionalProperties" and value is True:
            shown[key] = {}
        elif key == "anyOf":
            shown.update(_any_of(value))
        else:
            shown[key] = value
    if shown.get("type") == "null":
        # Generators stumble over an enum of null alone.
        return {**shown, "type": "string", "maxLength": 0, "nullable": True}
    return shown


def _any_of(members: list[Schema]) -> Schema:
    kinds = [_translated(member) for member in members if member != {"type": "null"}]
    nullable = {"nullable": True} if len(kinds) < len(members) else {}
    if any(kind == {"type": "number"} for kind in kinds):
        kinds = [kind for kind in kinds if kind.get("type") != "integer"]
    if len(kinds) > 1:
        return {"anyOf": kinds, **nullable}
    only = kinds[0]
    if "enum" in only and nullable:
        return {**only, "enum": [*only["enum"], None], **nullable}
    return {"allOf": [only], **nullable} if "$ref" in only and nullable else {**only, **nullable}


def _merged(members: list[Schema]) -> Schema:
    """Shapes that no one property tells apart, as one object that has the properties of all."""
    held: dict[str, list[Schema]] = {}
    for member in members:
        for name, schema in member.get("properties", {}).items():
            held.setdefault(name, []).append(_translated(schema))
    return {
        "type": "object",
        "properties": {name: _widest(schemas) for name, schemas in held.items()},
        "additionalProperties": False,
    }


def _widest(schemas: list[Schema]) -> Schema:
    """One schema for what each of `schemas` allows: a union that has a name, else a plain type, else all values."""
    for is_wide in (lambda schema: "$ref" in schema, lambda schema: "enum" not in schema):
        for schema in filter(is_wide, schemas):
            return schema
    values = dict.fromkeys(value for schema in schemas for value in schema["enum"] if value is not None)
    nullable = any(schema.get("nullable") for schema in schemas)
    widest: Schema = {"type": "string", "enum": [*values, None] if nullable else list(values)}
    return {**widest, "nullable": True} if nullable else widest


def _reachable(start: str, components: dict[str, Schema]) -> Iterable[str]:
    found, pending = dict.fromkeys([start]), [start]
    while pending:
        for name in _references(components[pending.pop()]):
            if name not in found:
                found[name] = None
                pending.append(name)
    return found


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        for member in part.values():
            yield from _references(member)
    elif isinstance(part, list):
        for member in part:
            yield from _references(member)
