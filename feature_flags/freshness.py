"""Writes that came through this process are visible to its next flag request, not just some microseconds later."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from feature_flags.definitions_cache import cache

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITING_DOORS = ("/api/", "/admin/")


class FreshAfterWrites:
    """Middleware: after a writing request the process looks at the database before it trusts what it keeps."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method not in _SAFE and request.path_info.startswith(_WRITING_DOORS):
            cache.distrust()
        return response
