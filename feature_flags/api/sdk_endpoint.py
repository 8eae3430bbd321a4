"""What the endpoints of client libraries have in common: methods, origins, and errors in plain words."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from common import sdk_requests

View = Callable[..., HttpResponseBase]


def sdk_endpoint(*, methods: tuple[str, ...] = ("GET", "POST"), any_origin: bool = True) -> Callable[[View], View]:
    """A view that is called for `methods` alone. HEAD and OPTIONS are answered without it.

    Neither session nor CSRF token is looked at. What cannot be decoded becomes the documented text.
    """
    allowed = [*methods, "OPTIONS", "HEAD"]

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def endpoint(request: HttpRequest, **named: Any) -> HttpResponseBase:
            if request.method in methods:
                response = _answered(view, request, named)
            elif request.method == "OPTIONS":
                response = HttpResponse(status=204, headers={"Allow": ", ".join(allowed)})
            elif request.method == "HEAD":
                response = HttpResponse()
            else:
                response = HttpResponseNotAllowed(allowed)
            if any_origin:
                sdk_requests.allow_origin(request, response)
            return response

        return endpoint

    return decorate


def _answered(view: View, request: HttpRequest, named: dict[str, Any]) -> HttpResponseBase:
    try:
        return view(request, **named)
    except sdk_requests.UnsupportedCompression:
        return plain(400, "Unsupported compression type")
    except sdk_requests.UnreadableRequest as error:
        return plain(400, f"Failed to decode request: {error}. Please check your request format and try again.")
    except sdk_requests.PayloadTooLarge as error:
        return plain(413, f"The request is too large: {error}.")
    except (OperationalError, InterfaceError):
        return plain(503, "The database cannot be reached at the moment. Please try again.")


def plain(status: int, text: str) -> HttpResponse:
    """An error in words."""
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def json_answer(body: bytes, *, status: int = 200) -> HttpResponse:
    """An answer whose JSON is written already."""
    return HttpResponse(body, status=status, content_type="application/json")
