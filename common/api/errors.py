"""How refusals become HTTP answers: the one table, and the envelope `type, code, detail, attr`."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from exceptions_hog.handler import exception_handler as envelope
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from common import errors
from common.api.parsing import RequestTooLarge

logger = logging.getLogger(__name__)

SERVER_ERROR = "A server error occurred."
Words = Callable[[HttpRequest], HttpResponseBase]
View = Callable[..., HttpResponseBase]
# The attribute of a view that tells of its server errors in its own way.
_WORDS = "words_of_server_errors"

# First match wins, so children stand before their parents.
STATUS_AND_TYPE: tuple[tuple[type[errors.DomainError], int, str], ...] = (
    (errors.Invalid, status.HTTP_400_BAD_REQUEST, "validation_error"),
    (errors.Denied, status.HTTP_403_FORBIDDEN, "authentication_error"),
    (errors.Missing, status.HTTP_404_NOT_FOUND, "invalid_request"),
    (errors.Conflict, status.HTTP_409_CONFLICT, "server_error"),
    (errors.PreconditionFailed, status.HTTP_412_PRECONDITION_FAILED, "invalid_request"),
    (errors.QueryTimeout, status.HTTP_504_GATEWAY_TIMEOUT, "server_error"),
)


def body(*, error_type: str, code: str, detail: str, attr: str | None = None) -> dict[str, Any]:
    """The envelope of every error outside the few that document another body."""
    return {"type": error_type, "code": code, "detail": detail, "attr": attr}


def _domain_answer(error: errors.DomainError) -> Response:
    for kind, status_code, error_type in STATUS_AND_TYPE:
        if isinstance(error, kind):
            content = body(error_type=error_type, code=error.code, detail=error.detail, attr=error.attr)
            return Response(content | error.extra, status=status_code)
    raise TypeError(f"{type(error).__name__} has no row in STATUS_AND_TYPE")


def _leaves(detail: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], exceptions.ErrorDetail]]:
    """Every message of a DRF validation error with the path that leads to it, list positions included."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(detail, list | tuple):
        for position, value in enumerate(detail):
            nested = isinstance(value, Mapping | list | tuple)
            yield from _leaves(value, (*path, str(position)) if nested else path)
    elif isinstance(detail, exceptions.ErrorDetail):
        yield path, detail


def _first_only(error: exceptions.ValidationError) -> exceptions.ValidationError:
    """The error cut down to its first message, keyed by its full path."""
    path, message = next(_leaves(error.detail), ((), exceptions.ErrorDetail("Invalid input.", "invalid")))
    if path in ((), (api_settings.NON_FIELD_ERRORS_KEY,)):
        return exceptions.ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [message]})
    return exceptions.ValidationError({"__".join(path): [message]})


def answer(error: Exception, context: Mapping[str, Any] | None = None) -> Response | None:
    """DRF's exception handler: every exception of a view becomes a documented answer."""
    if isinstance(error, errors.DomainError):
        set_rollback()
        return _domain_answer(error)
    if isinstance(error, RequestDataTooBig):
        error = RequestTooLarge(settings.MAX_REQUEST_BYTES)
    if isinstance(error, exceptions.ValidationError):
        error = _first_only(error)
    response: Response | None = envelope(error, dict(context or {}))
    if response is None:
        return None
    if response.status_code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        logger.error("unhandled exception", exc_info=error)
    if isinstance(error, exceptions.APIException):
        challenge = getattr(error, "auth_header", None)
        if challenge:
            response["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.MethodNotAllowed) and context and context.get("view") is not None:
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def _json(status_code: int, content: dict[str, Any]) -> JsonResponse:
    return JsonResponse(content, status=status_code, json_dumps_params={"separators": (",", ":")})


@csrf_exempt
def endpoint_not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """Any verb on an unknown path under /api/."""
    return _json(404, body(error_type="invalid_request", code="not_found", detail="Endpoint not found."))


def says_of_server_errors(words: Words) -> Callable[[View], View]:
    """Let a view's unforeseen errors be told in its own way instead of the envelope. The outermost decorator."""

    def decorate(view: View) -> View:
        setattr(view, _WORDS, words)
        return view

    return decorate


def server_error(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """Django's handler500: no exception text in any mode."""
    match = request.resolver_match
    words: Words | None = None if match is None else getattr(match.func, _WORDS, None)
    if words is not None:
        return words(request)
    return _json(500, body(error_type="server_error", code="error", detail=SERVER_ERROR))
