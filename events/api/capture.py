"""Capture: what client libraries send their events to. Plain views: no session, no keys but the public token."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from common import sdk_requests
from common.api.errors import SERVER_ERROR, says_of_server_errors
from common.sdk_requests import MEGABYTE
from events import ingestion
from events.incoming import Clock, EventTooLarge, IncomingEvent, InvalidEvent, UnreadableEvent, parse_time, read_event

logger = logging.getLogger(__name__)

BATCH_LIMIT = 20 * MEGABYTE
LIMIT = 2 * MEGABYTE
ALLOW = "GET, POST, OPTIONS"
MAX_TOKEN = 64


class _Refused(Exception):
    """The whole request is refused, and nothing of it is stored."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request's events as sent, with what it says about all of them."""

    events: list[Any]
    token: Any
    sent_at: Any


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _failed(request: HttpRequest) -> HttpResponse:
    response = _text(500, SERVER_ERROR)
    sdk_requests.allow_origin(request, response)
    return response


@says_of_server_errors(_failed)
@csrf_exempt
def batch(request: HttpRequest) -> HttpResponse:
    """/batch: many events, up to 20 MB."""
    return _answer(request, limit=BATCH_LIMIT)


@says_of_server_errors(_failed)
@csrf_exempt
def capture(request: HttpRequest) -> HttpResponse:
    """/capture, /e, /i/v0/e, /track: one event or some."""
    return _answer(request, limit=LIMIT)


@says_of_server_errors(_failed)
@csrf_exempt
def engage(request: HttpRequest) -> HttpResponse:
    """/engage: the same; an event without a name identifies its person."""
    return _answer(request, limit=LIMIT, default_name="$identify")


def _answer(request: HttpRequest, *, limit: int, default_name: str | None = None) -> HttpResponse:
    if request.method == "OPTIONS":
        response = HttpResponse(status=204, headers={"Allow": ALLOW})
    elif request.method not in ("GET", "POST"):
        response = HttpResponse(status=405, headers={"Allow": ALLOW})
    else:
        try:
            token, events = _read(request, limit=limit, default_name=default_name)
            ingestion.store_for_token(token=token, events=events)
            response = HttpResponse(status=204) if request.GET.get("beacon") == "1" else JsonResponse({"status": "Ok"})
        except _Refused as refusal:
            response = _text(refusal.status, str(refusal))
        except Error:
            # Nothing was stored. The client sends the events again, with the same uuids.
            logger.exception("events not stored")
            response = _text(503, "transient error, please retry")
    sdk_requests.allow_origin(request, response)
    return response


def _read(request: HttpRequest, *, limit: int, default_name: str | None) -> tuple[str, list[IncomingEvent]]:
    """The token and the events of a request. Raises _Refused if any of them cannot be taken."""
    sent = _sent(_payload(request, limit=limit))
    token = _token(sent)
    clock = _clock(request, sent)
    try:
        return token, [read_event(event, clock=clock, default_name=default_name) for event in sent.events]
    except EventTooLarge as error:
        raise _Refused(413, f"maximum event size exceeded: {error}") from error
    except UnreadableEvent as error:
        raise _Refused(400, f"failed to parse request: {error}") from error
    except InvalidEvent as error:
        raise _Refused(400, str(error)) from error


def _payload(request: HttpRequest, *, limit: int) -> Any:
    try:
        return sdk_requests.payload(request, limit=limit, lz64=True)
    except sdk_requests.PayloadTooLarge as error:
        raise _Refused(413, f"maximum event size exceeded: {error}") from error
    except sdk_requests.NotJSON as error:
        raise _Refused(400, f"failed to parse request: {error}") from error
    except sdk_requests.UnreadableRequest as error:
        raise _Refused(400, f"failed to decode request: {error}") from error


def _sent(payload: Any) -> _Sent:
    if isinstance(payload, dict) and "batch" in payload:
        events, outer = payload["batch"], payload
        if not isinstance(events, list):
            raise _Refused(400, "failed to parse request: batch is not a list")
    elif isinstance(payload, dict):
        events, outer = [payload], payload
    elif isinstance(payload, list):
        events, outer = payload, {}
    elif payload is None:
        events, outer = [], {}
    else:
        raise _Refused(400, "failed to parse request: neither an object nor a list")
    if not events:
        raise _Refused(400, "request holds no event")
    token = outer.get("token") if outer.get("api_key") is None else outer["api_key"]
    return _Sent(events, token=token, sent_at=outer.get("sent_at"))


def _token(sent: _Sent) -> str:
    """The one public token of the request, well-formed. Whether a project has it is not looked at here."""
    if isinstance(sent.token, str):
        tokens = {sent.token}
    else:
        tokens = {token for event in sent.events if (token := _token_of(event)) is not None}
    if not tokens:
        raise _Refused(401, "event submitted without an api_key")
    if len(tokens) > 1:
        raise _Refused(401, "batch submitted with inconsistent api_key values")
    token = tokens.pop().strip()
    for reason, applies in (
        ("empty", not token),
        ("null_byte", "\x00" in token),
        ("too_long", len(token) > MAX_TOKEN),
        ("not_ascii", not token.isascii()),
        ("personal_api_key", token.startswith("phx_")),
    ):
        if applies:
            raise _Refused(401, f"API key is not valid: {reason}")
    return token


def _token_of(event: Any) -> str | None:
    if not isinstance(event, dict):
        return None
    properties = event.get("properties")
    inside = properties.get("token") if isinstance(properties, dict) else None
    for token in (event.get("api_key"), event.get("token"), event.get("$token"), inside):
        if isinstance(token, str):
            return token
    return None


def _clock(request: HttpRequest, sent: _Sent) -> Clock:
    now = timezone.now()
    sent_at = parse_time(sent.sent_at) or _from_milliseconds(request.GET)
    return Clock(now=now, skew=None if sent_at is None else now - sent_at)


def _from_milliseconds(query: Mapping[str, Any]) -> datetime | None:
    text = query.get("_", "")
    if not (text.isascii() and text.isdigit()):
        return None
    try:
        return datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=int(text))
    except (OverflowError, ValueError):
        return None
