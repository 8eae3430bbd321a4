"""`/flags` and `/decide`: which flags are on for somebody, asked by client libraries of all ages."""

import time
from uuid import UUID, uuid4

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from common import sdk_requests
from feature_flags import visibility
from feature_flags.answers import NO_ANSWERS, Answers, answers
from feature_flags.api import flag_records
from feature_flags.api.browser_config import config_of
from feature_flags.api.evaluation_request import FlagsRequest, read
from feature_flags.api.flag_records import Shape
from feature_flags.api.sdk_endpoint import json_answer, plain, sdk_endpoint
from feature_flags.definitions_cache import cache
from feature_flags.project_definitions import ProjectDefinitions

MAX_BYTES = 2 * sdk_requests.MEGABYTE
_TRUE = frozenset({"true", "1"})


def _refusal(code: str, detail: str) -> bytes:
    return orjson.dumps({"type": "authentication_error", "code": code, "detail": detail, "attr": None})


_NO_TOKEN = _refusal("not_authenticated", "No API token provided. Please include a valid API token in your request.")
_UNKNOWN_TOKEN = _refusal(
    "authentication_failed",
    "The provided API key is invalid or has expired. Please check your API key and try again.",
)
_NO_DISTINCT_ID = "The distinct_id field is missing from the request. Please include a valid identifier."
_NOTHING_ASKED = orjson.dumps(
    {
        "supportedCompression": ["gzip", "gzip-js"],
        "config": {"enable_collect_everything": True},
        "toolbarParams": {},
        "isAuthenticated": False,
        "sessionRecording": False,
    }
)[1:-1]


@sdk_endpoint()
def flags(request: HttpRequest) -> HttpResponse:
    version = _version(request)
    if version is None and "config" not in sdk_requests.query(request):
        return _answer(request, flag_records.records, with_config=True)
    if version is None or version < 2:
        return _answer(request, flag_records.values_and_payloads, with_config=_asks_config(request))
    shape = flag_records.records if version < 4 else flag_records.records_with_value
    return _answer(request, shape, with_config=_asks_config(request))


@sdk_endpoint()
def decide(request: HttpRequest) -> HttpResponse:
    version = _version(request) or 1
    if version >= 4:
        return _answer(request, flag_records.records_with_value, with_config=True)
    shapes: dict[int, Shape] = {3: flag_records.values_and_payloads, 2: flag_records.enabled_values}
    return _answer(request, shapes.get(version, flag_records.enabled_keys), with_config=True)


def _version(request: HttpRequest) -> int | None:
    sent = sdk_requests.query(request).get("v", "")
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 4 else None


def _asks_config(request: HttpRequest) -> bool:
    return sdk_requests.query(request).get("config", "").lower() in _TRUE


def _answer(request: HttpRequest, shape: Shape, *, with_config: bool) -> HttpResponse:
    query = sdk_requests.query(request)
    if request.method == "GET":
        return _written(*shape(NO_ANSWERS, {}), b",", _NOTHING_ASKED, b",", _identity(request))
    body = sdk_requests.payload(request, limit=MAX_BYTES, lz64=False)
    sent = read(body, reads_person=query.get("only_use_override_person_properties", "").lower() not in _TRUE)
    if not sent.token:
        return json_answer(_NO_TOKEN, status=401)
    project = cache.of_token(sent.token)
    if project is None:
        return json_answer(_UNKNOWN_TOKEN, status=401)
    # For the request's log line.
    request.project_id = project.project_id  # type: ignore[attr-defined]
    if sent.distinct_id is None:
        return plain(400, _NO_DISTINCT_ID)
    found = NO_ANSWERS
    if not sent.is_disabled and query.get("only_evaluate_survey_feature_flags", "").lower() not in _TRUE:
        found = _found(request, project, sent)
    config = (b",", config_of(project)[1:-1]) if with_config else ()
    return _written(*shape(found, project.records), b",", _identity(request), *config)


def _written(*pieces: bytes) -> HttpResponse:
    return json_answer(b"".join((b"{", *pieces, b"}")))


def _found(request: HttpRequest, project: ProjectDefinitions, sent: FlagsRequest) -> Answers:
    runtime = visibility.runtime_of_caller(sent.runtime, request.META)
    selection = project.visible(runtime=runtime, contexts=sent.contexts)
    if sent.flag_keys is not None:
        selection = project.definitions.select(flag for flag in selection.flags if flag.key in sent.flag_keys)
    return answers(project=project, asked=sent.asked, selection=selection, now=timezone.now())


def _identity(request: HttpRequest) -> bytes:
    """Which request this answers, and when it was answered."""
    named = request.META.get("HTTP_X_REQUEST_ID")
    number = uuid4() if named is None else _uuid(named) or uuid4()
    return b'"requestId":"%b","evaluatedAt":%d' % (str(number).encode(), time.time_ns() // 1_000_000)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
