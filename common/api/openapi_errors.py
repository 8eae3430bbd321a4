"""How the OpenAPI document shows refusals."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from rest_framework import serializers


class ConflictingPolicySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    action_key = serializers.CharField()


class ErrorSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(
        choices=["validation_error", "authentication_error", "invalid_request", "throttled_error", "server_error"]
    )
    code = serializers.CharField(help_text="Names the mistake, for programs.")
    detail = serializers.CharField(help_text="Says what is wrong, for people.")
    attr = serializers.CharField(
        allow_null=True, help_text="The field at fault; inside nested data the path to it, joined by `__`."
    )
    error = serializers.CharField(required=False, help_text="The same as `detail`, in some answers.")
    success = serializers.BooleanField(required=False, help_text="false, in some answers.")
    conflicting_policies = ConflictingPolicySerializer(
        many=True, required=False, help_text="Of a change that falls under several approval policies at once."
    )
    guidance = serializers.CharField(required=False, help_text="What to do about it, in some answers.")


class ConflictSerializer(ErrorSerializer):
    type = serializers.ChoiceField(choices=["server_error"])
    code = serializers.ChoiceField(choices=["conflict"])  # type: ignore[assignment]  # the one of these codes


DESCRIPTIONS: Mapping[int, str] = {
    400: "A parameter, the body or the present state breaks a rule.",
    401: "No credential was sent, or a wrong one.",
    403: "The caller may not do this.",
    404: "The project, or the object, does not exist for this caller.",
    405: 'Refused. Delete by PATCH with `{"deleted": true}`.',
    409: "The change needs approval, for which it is a change request now; or somebody else changed the object first.",
    412: "The object has changed since the version that `If-Match` names.",
    413: "The body is too large.",
    415: "The body is of a media type that is not read.",
    429: "Too many requests.",
    500: "The service failed.",
    504: "The time limit of the query has passed.",
}

_TEXT = {"type": "string"}
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": _TEXT, "description": "How to send a credential."}},
    405: {"Allow": {"schema": _TEXT, "description": "The verbs of this address, separated by commas."}},
    429: {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": 1},
            "description": "Seconds after which the request may be sent again.",
        }
    },
}


def refusal(status: int, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """The response object of a refusal; `error` is the schema of its body, None where it has none."""
    headers = _HEADERS.get(status)
    shown: dict[str, Any] = {"description": DESCRIPTIONS.get(status, HTTPStatus(status).phrase)}
    if headers:
        shown["headers"] = dict(headers)
    if error is not None:
        shown["content"] = {"application/json": {"schema": dict(error)}}
    return shown
