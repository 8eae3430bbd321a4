"""The finishing touches of the OpenAPI document: names of enums, and the kinds of credentials."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, get_args

from django.utils.module_loading import import_string
from drf_spectacular.drainage import warn
from drf_spectacular.settings import spectacular_settings

Schema = dict[str, Any]
Values = tuple[Any, ...]

SECURITY_SCHEMES: Mapping[str, Schema] = {
    "PersonalAPIKeyAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "A personal API key (`phx_...`) with one of the scopes that the operation lists.",
    },
    "ProjectSecretAPIKeyAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "A project secret API key (`phs_...`) with one of the scopes that the operation lists.",
    },
    "SessionAuth": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "The session of a signed-in user. Operations that take keys take sessions too.",
    },
}


def finish(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """drf-spectacular's last hook: the document as it is published."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _name_enums(schemas)
    _forget_enum_ids(result)
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = dict(SECURITY_SCHEMES)
    return result


def _slots(schema: Any, owner: str) -> Iterator[tuple[str, Schema, str]]:
    """Every place of a property's schema, or its items', inside `schema`: the property's name, and the place."""
    if not isinstance(schema, dict):
        return
    for name, shown in schema.get("properties", {}).items():
        yield name, schema["properties"], name
        yield from _inner_slots(name, shown, owner)
    for part in ("oneOf", "anyOf", "allOf"):
        for member in schema.get(part, ()):
            yield from _slots(member, owner)


def _inner_slots(name: str, shown: Schema, owner: str) -> Iterator[tuple[str, Schema, str]]:
    yield from _slots(shown, owner)
    for part in ("items", "additionalProperties"):
        if isinstance(shown.get(part), dict):
            yield name, shown, part
            yield from _inner_slots(name, shown[part], owner)


def _values(schema: Schema) -> Values | None:
    """The values of an enum that deserves a name: more than one besides null."""
    values = tuple(value for value in schema.get("enum", ()) if value is not None)
    return values if len(values) > 1 else None


def _chosen_names() -> dict[Values, str]:
    names = {}
    for name, choices in spectacular_settings.ENUM_NAME_OVERRIDES.items():
        found = import_string(choices) if isinstance(choices, str) else choices
        if isinstance(found, type) and issubclass(found, Enum):
            found = [member.value for member in found]
        names[tuple(get_args(found) or found)] = name
    return names


def _name_enums(schemas: dict[str, Schema]) -> None:
    """Make a component of every enum in a property. Null among the values belongs to the component."""
    places: dict[Values, list[tuple[str, str, Schema, str]]] = defaultdict(list)
    for component, schema in schemas.items():
        for name, holder, key in _slots(schema, component):
            values = _values(holder[key])
            if values is not None:
                places[values].append((component, name, holder, key))
    chosen = _chosen_names()
    for values, found in places.items():
        name = chosen.get(values) or _derived_name(values, {(component, prop) for component, prop, _, _ in found})
        nullabilities = {bool(holder[key].get("nullable")) for _, _, holder, key in found}
        for _, _, holder, key in found:
            nullable = bool(holder[key].get("nullable"))
            component_name = f"Nullable{name}" if nullable and len(nullabilities) > 1 else name
            holder[key] = _register(schemas, component_name, holder[key], values, nullable=nullable)


def _derived_name(values: Values, users: set[tuple[str, str]]) -> str:
    owners = {(re.sub("^Patched|(Create|Request)$", "", component), prop) for component, prop in users}
    if len(owners) > 1:
        warn(f"the enum {values} of {sorted(owners)} needs a name of its own in ENUM_NAME_OVERRIDES")
    component, prop = min(owners)
    words = "".join(f"{word[:1].upper()}{word[1:]}" for word in prop.split("_"))
    return f"{component}{words}Enum"


def _register(schemas: dict[str, Schema], name: str, shown: Schema, values: Values, *, nullable: bool) -> Schema:
    component: Schema = {"type": shown["type"], "enum": [*values, None] if nullable else list(values)}
    if nullable:
        component["nullable"] = True
    if schemas.setdefault(name, component) != component:
        warn(f"two different enums or components would be called {name}")
    rest = {key: value for key, value in shown.items() if key not in {"type", "enum", "nullable", "x-spec-enum-id"}}
    reference = {"$ref": f"#/components/schemas/{name}"}
    return {"allOf": [reference], **rest} if rest else reference


def _forget_enum_ids(part: Any) -> None:
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
        for member in part.values():
            _forget_enum_ids(member)
    elif isinstance(part, list):
        for member in part:
            _forget_enum_ids(member)
