"""Structured logs: one JSON object a line, and one line a request. Keys and query strings never get into them."""

import logging
import re
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.contrib.admindocs.views import simplify_regex
from django.http import HttpRequest
from django.http.response import HttpResponseBase

logger = logging.getLogger("experiments_service.requests")

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# Messages and tracebacks are free text; a key that got into one is reduced to its kind.
_SECRET = re.compile(r"\b(ph[xsc]_)[0-9A-Za-z]{16,}")


def without_secrets(text: str) -> str:
    """The text with every key in it cut to its prefix."""
    return _SECRET.sub(r"\1...", text)


class JSONFormatter(logging.Formatter):
    """A log record as one line of JSON. `extra={"fields": {...}}` adds keys; no other attribute is written."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = without_secrets("".join(traceback.format_exception(*record.exc_info)))
        return orjson.dumps(line, default=str).decode()


@lru_cache(maxsize=1024)
def _readable(route: str) -> str:
    return simplify_regex(route)


def _line(request: HttpRequest, *, status: int, seconds: float) -> dict[str, Any]:
    match = request.resolver_match
    # Views set these when they have found out; what the client wrote in the path is not repeated.
    credential = getattr(request, "auth", None)
    return {
        "method": request.method if request.method in METHODS else "other",
        "route": None if match is None else _readable(match.route),
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "project": getattr(request, "project_id", None),
        "key": getattr(credential, "key_id", None),
    }


class RequestLogMiddleware:
    """Logs each request when its answer is ready; the outermost middleware, so that it sees all of them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        logger.info("request", extra={"fields": _line(request, status=response.status_code, seconds=seconds)})
        return response
