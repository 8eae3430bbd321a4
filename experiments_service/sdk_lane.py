"""A short way for the addresses that client libraries ask all the time.

Their views look at no session, no CSRF token and nobody's sign-in, and their answers are read by programs, not shown
in frames: the middleware behind this one would only cost time.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve


class SDKLane:
    """Middleware: answers the addresses in SDK_LANE itself, by the views that they are routed to."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.matches = {path: resolve(path) for lane in settings.SDK_LANE for path in (lane, f"{lane}/")}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        match = self.matches.get(request.path_info)
        if match is None:
            return self.get_response(request)
        request.resolver_match = match
        response: HttpResponseBase = match.func(request)
        return response
