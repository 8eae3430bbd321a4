"""The OpenFeature Remote Evaluation Protocol: one flag, or all that the caller sees."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from common import documents, sdk_requests
from common.api.rendering import to_json
from common.errors import Denied, Missing
from feature_flags import open_feature, visibility
from feature_flags.answers import Asked, answers
from feature_flags.api import sdk_credentials
from feature_flags.api.evaluation import MAX_BYTES
from feature_flags.api.evaluation_request import MAX_DEPTH, asked_of, mapping
from feature_flags.api.feeds import tagged
from feature_flags.api.sdk_endpoint import json_answer, sdk_endpoint
from feature_flags.definitions_cache import cache
from feature_flags.project_definitions import ProjectDefinitions

# What of a context says who is asking; everything else is a property of the person.
_IDENTITY = frozenset(
    {"targetingKey", "groups", "group_properties", "groupProperties", "device_id", "deviceId", "$device_id"}
)


class _Refused(Exception):
    """A 400 of the protocol."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


def _details(status: int, text: str) -> HttpResponse:
    return _json({"errorDetails": text}, status=status)


@sdk_endpoint(methods=("POST",), tell=_details)
def one(request: HttpRequest, key: str) -> HttpResponse:
    project = _project(request)
    if not isinstance(project, ProjectDefinitions):
        return project
    try:
        asked = _asked(request)
    except _Refused as refusal:
        return _json(open_feature.failure(key, refusal.code, refusal.details), status=400)
    flag = project.definitions.by_key.get(key)
    if flag is None:
        return _json(open_feature.failure(key, "FLAG_NOT_FOUND", f"There is no flag {key}."), status=404)
    selection = project.definitions.select([flag])
    found = answers(project=project, asked=asked, selection=selection, now=timezone.now())
    evaluation = found.evaluations[0] if found.evaluations else None
    answer = open_feature.answer_of(flag, evaluation)
    return _json(answer, status=400 if "errorCode" in answer else 200)


@sdk_endpoint(methods=("POST",), tell=_details)
def every(request: HttpRequest) -> HttpResponse:
    project = _project(request)
    if not isinstance(project, ProjectDefinitions):
        return project
    try:
        asked = _asked(request)
    except _Refused as refusal:
        return _json(open_feature.failure(None, refusal.code, refusal.details), status=400)
    runtime = visibility.runtime_of_caller(None, request.META)
    selection = project.visible(runtime=runtime, contexts=())
    found = answers(project=project, asked=asked, selection=selection, now=timezone.now())
    return tagged(request, to_json({"flags": [open_feature.answer_of(*answer) for answer in found]}))


def _project(request: HttpRequest) -> ProjectDefinitions | HttpResponse:
    """The project that the credential opens, or the refusal, which has no body."""
    value = sdk_credentials.bearer(request) or request.headers.get("X-API-Key", "").strip()
    if value.startswith("phc_"):
        return cache.of_token(value) or HttpResponse(status=401)
    credential = sdk_credentials.find(value) if value else None
    if credential is None:
        return HttpResponse(status=401)
    if not sdk_credentials.may_read_flags(credential):
        return HttpResponse(status=403)
    try:
        return cache.of_project(sdk_credentials.project_of(request, credential).pk)
    except Missing:
        return HttpResponse(status=401)
    except Denied:
        return HttpResponse(status=403)


def _asked(request: HttpRequest) -> Asked:
    try:
        body = sdk_requests.payload(request, limit=MAX_BYTES, lz64=False)
    except sdk_requests.UnreadableRequest as error:
        raise _Refused("PARSE_ERROR", f"The body is no JSON: {error}.") from error
    if body is None:
        raise _Refused("PARSE_ERROR", "The body is empty.")
    if not isinstance(body, dict) or documents.depth_of(body) > MAX_DEPTH:
        raise _Refused("INVALID_CONTEXT", "The body must be an object with a context.")
    context = body.get("context")
    if context is None:
        raise _Refused("TARGETING_KEY_MISSING", "The body has no context with a targetingKey.")
    if not isinstance(context, dict):
        raise _Refused("INVALID_CONTEXT", "The context must be an object.")
    return _asked_in(context)


def _asked_in(context: dict[str, Any]) -> Asked:
    targeting_key = context.get("targetingKey")
    if targeting_key is None:
        raise _Refused("TARGETING_KEY_MISSING", "The context has no targetingKey.")
    if not isinstance(targeting_key, str):
        raise _Refused("INVALID_CONTEXT", "The targetingKey must be a text.")
    return asked_of(
        {name: context[name] for name in context if name in _IDENTITY},
        distinct_id=targeting_key.replace("\x00", ""),
        person_properties=mapping({name: value for name, value in context.items() if name not in _IDENTITY}),
    )


def _json(answer: dict[str, Any], *, status: int) -> HttpResponse:
    return json_answer(to_json(answer), status=status)
