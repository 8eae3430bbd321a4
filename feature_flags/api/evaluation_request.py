"""What clients send to be told their flags, read leniently: what has no meaning counts as not sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common import documents, sdk_requests
from feature_flags.answers import Asked

MAX_DISTINCT_ID = 200
# Deeper documents are no properties anybody compares with, and would be a burden to walk.
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagsRequest:
    """The body of a flags request. `distinct_id` and `token` are None when they are missing."""

    token: str | None
    distinct_id: str | None
    asked: Asked
    # Only these flags are wanted; None asks for all.
    flag_keys: frozenset[str] | None
    is_disabled: bool
    contexts: tuple[str, ...]
    runtime: object


def read(body: Any, *, reads_person: bool) -> FlagsRequest:
    """The request in a decoded body. Raises UnreadableRequest when the body is no object."""
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise sdk_requests.UnreadableRequest("the body is not an object")
    if documents.depth_of(body) > MAX_DEPTH:
        raise sdk_requests.UnreadableRequest(f"nesting exceeds {MAX_DEPTH} levels")
    distinct_id = text(_first(body, "distinct_id", "$distinct_id"))
    keys = _first(body, "flag_keys_to_evaluate", "flag_keys")
    contexts = _first(body, "evaluation_contexts", "evaluation_environments")
    return FlagsRequest(
        token=text(_first(body, "token", "$token", "api_key")),
        distinct_id=distinct_id,
        asked=asked_of(
            body,
            distinct_id="" if distinct_id is None else distinct_id,
            person_properties=mapping(_first(body, "person_properties", "$properties")),
            reads_person=reads_person,
        ),
        flag_keys=frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else None,
        is_disabled=body.get("disable_flags") is True,
        contexts=tuple(one for one in contexts if isinstance(one, str)) if isinstance(contexts, list) else (),
        runtime=body.get("evaluation_runtime"),
    )


def asked_of(
    body: Mapping[str, Any], *, distinct_id: str, person_properties: Mapping[str, Any], reads_person: bool = True
) -> Asked:
    """For whom a body asks; groups, device and anonymous id are read from it."""
    group_properties = mapping(_first(body, "group_properties", "groupProperties", "$group_properties"))
    return Asked(
        distinct_id=distinct_id[:MAX_DISTINCT_ID],
        person_properties=person_properties,
        groups=groups_of(mapping(_first(body, "groups", "$groups"))),
        group_properties={name: sent for name, sent in group_properties.items() if isinstance(sent, dict)},
        anonymous_id=(text(body.get("$anon_distinct_id")) or "")[:MAX_DISTINCT_ID] or None,
        device_id=text(
            _first(body, "device_id", "$device_id", "deviceId", instead=person_properties.get("$device_id"))
        ),
        reads_person=reads_person,
    )


def groups_of(sent: Mapping[str, Any]) -> dict[str, str]:
    """The key of each named group; null, an empty text and what is no plain value name none."""
    return {name: key for name, one in sent.items() if isinstance(one, str | int | float) and (key := text(one))}


def _first(body: Mapping[str, Any], *names: str, instead: Any = None) -> Any:
    for name in names:
        value = body.get(name)
        if value is not None:
            return value
    return instead


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """An id: text without NUL characters, numbers and whatever else in their JSON form; None for null."""
    if value is None:
        return None
    return (value if isinstance(value, str) else documents.dumps(value)).replace("\x00", "")
