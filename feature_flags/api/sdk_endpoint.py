"""What the endpoints of client libraries have in common: methods, origins, and errors in plain words."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from common import sdk_requests
from common.api.errors import SERVER_ERROR, View, says_of_server_errors

# Makes the answer to a request that failed, of its status and of what there is to say.
Tell = Callable[[int, str], HttpResponse]


def plain(status: int, text: str) -> HttpResponse:
    """An error in words."""
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def sdk_endpoint(
    *, methods: tuple[str, ...] = ("GET", "POST"), any_origin: bool = True, tell: Tell = plain
) -> Callable[[View], View]:
    """A view that is called for `methods` alone. HEAD and OPTIONS are answered without it.

    Neither session nor CSRF token is looked at. What cannot be decoded becomes the documented text, and so does a
    failure of the service itself; `tell` writes it.
    """
    allowed = [*methods, "OPTIONS", "HEAD"]

    def server_error(request: HttpRequest) -> HttpResponseBase:
        response = tell(500, SERVER_ERROR)
        if any_origin:
            sdk_requests.allow_origin(request, response)
        return response

    def decorate(view: View) -> View:
        @says_of_server_errors(server_error)
        @csrf_exempt
        @wraps(view)
        def endpoint(request: HttpRequest, **named: Any) -> HttpResponseBase:
            if request.method in methods:
                response = _answered(view, request, named, tell)
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


def _answered(view: View, request: HttpRequest, named: dict[str, Any], tell: Tell) -> HttpResponseBase:
    try:
        return view(request, **named)
    except sdk_requests.UnsupportedCompression:
        return tell(400, "Unsupported compression type")
    except sdk_requests.UnreadableRequest as error:
        return tell(400, f"Failed to decode request: {error}. Please check your request format and try again.")
    except sdk_requests.PayloadTooLarge as error:
        return tell(413, f"The request is too large: {error}.")
    except (OperationalError, InterfaceError):
        return tell(503, "The database cannot be reached at the moment. Please try again.")


def json_answer(body: bytes, *, status: int = 200) -> HttpResponse:
    """An answer whose JSON is written already."""
    return HttpResponse(body, status=status, content_type="application/json")
