"""Every answer that a test gets from the API is compared with the OpenAPI document.

A test fails when an answer has a status, a header or a body that the document does not promise for the operation.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from rest_framework.test import APIClient

from common.api.document import document

Node = dict[str, Any]

# Any address may answer these without saying so: no such verb, no such representation.
UNDECLARED = (405, 406)
DOCUMENT = "urn:openapi"
ERROR: Node = {"$ref": "#/components/schemas/Error"}


class UndocumentedAnswer(AssertionError):
    """An answer that `openapi.yaml` does not describe."""


@dataclass(frozen=True, slots=True)
class Address:
    pattern: re.Pattern[str]
    literals: int
    methods: Node


@cache
def addresses() -> list[Address]:
    """The paths of the document, those with fewer variables first."""
    found = []
    for path, methods in document()["paths"].items():
        segments = path.strip("/").split("/")
        parts = ["[^/]+" if segment.startswith("{") else re.escape(segment) for segment in segments]
        literals = sum(not segment.startswith("{") for segment in segments)
        found.append(Address(re.compile("/" + "/".join(parts) + "/?"), literals, methods))
    return sorted(found, key=lambda address: -address.literals)


def methods_at(path: str) -> Node | None:
    """The operations of the document at an address; None for an address that is not in it."""
    return next((address.methods for address in addresses() if address.pattern.fullmatch(path)), None)


def json_schema(schema: Any) -> Any:
    """An OpenAPI 3.0 schema as JSON schema, and strict: an object has no members but those it names."""
    if isinstance(schema, list):
        return [json_schema(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"{DOCUMENT}{schema['$ref']}"}
    shown = {key: json_schema(value) for key, value in schema.items() if key not in ("nullable", "discriminator")}
    if "properties" in schema:
        shown["properties"] = {name: json_schema(member) for name, member in schema["properties"].items()}
        shown.setdefault("additionalProperties", False)
    for limit in ("Minimum", "Maximum"):
        if shown.pop(f"exclusive{limit}", False):
            shown[f"exclusive{limit}"] = shown.pop(limit.lower())
    return {"anyOf": [shown, {"type": "null"}]} if schema.get("nullable") else shown


@cache
def registry() -> Registry[Any]:
    schemas = {name: json_schema(schema) for name, schema in document()["components"]["schemas"].items()}
    whole = Resource.from_contents({"components": {"schemas": schemas}}, default_specification=DRAFT202012)
    known: Registry[Any] = Registry().with_resource(DOCUMENT, whole)
    return known


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json_schema(json.loads(schema)), registry=registry())


def problem_with(body: Any, schema: Node) -> str | None:
    """What about `body` the schema does not allow, and where; None when it is fine."""
    error = best_match(_validator(json.dumps(schema)).iter_errors(body))
    return None if error is None else f"{'/'.join(map(str, error.absolute_path)) or 'the body'}: {error.message[:500]}"


def check(method: str, path: str, response: HttpResponseBase) -> None:
    """Raise UndocumentedAnswer unless the document describes this answer."""
    methods = methods_at(path)
    if methods is None or method in ("HEAD", "OPTIONS") or "text/html" in response.headers.get("Content-Type", ""):
        return
    place = f"{method} {path} answered {response.status_code}"
    declared = _declared(place, methods.get(method.lower()), response.status_code)
    for header in declared.get("headers", ()):
        if header not in response.headers:
            raise UndocumentedAnswer(f"{place} without the documented header {header}")
    _check_body(place, declared, response)


def _declared(place: str, operation: Node | None, status: int) -> Node:
    """The response object that an answer has to keep to."""
    refusal: Node = {"content": {"application/json": {"schema": ERROR}}}
    if operation is None:
        if status < 400:
            raise UndocumentedAnswer(f"{place}, but the document has no such operation")
        return refusal
    known: Node | None = operation["responses"].get(str(status))
    if known is not None:
        return known
    # Of a refused DELETE the document leaves out that the project may be unknown.
    if status in UNDECLARED or (operation.get("deprecated") and status == 404):
        return refusal
    raise UndocumentedAnswer(f"{place}, but the document has only {list(operation['responses'])}")


def _check_body(place: str, declared: Node, response: HttpResponseBase) -> None:
    text = getattr(response, "content", b"")
    if "content" not in declared:
        if text:
            raise UndocumentedAnswer(f"{place} with a body, but the document has none")
        return
    media_type = response.headers.get("Content-Type", "").split(";")[0]
    media = declared["content"].get(media_type)
    if media is None:
        raise UndocumentedAnswer(f"{place} with {media_type}, but the document has only {list(declared['content'])}")
    problem = problem_with(json.loads(text), media["schema"])
    if problem is not None:
        raise UndocumentedAnswer(f"{place} with a body that the document does not allow: {problem}")


@pytest.fixture(autouse=True)
def every_answer_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = APIClient.request

    def request(client: APIClient, **environment: Any) -> Any:
        response = asked(client, **environment)
        check(environment["REQUEST_METHOD"], environment["PATH_INFO"], response)
        return response

    monkeypatch.setattr(APIClient, "request", request)
