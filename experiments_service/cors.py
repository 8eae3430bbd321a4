"""Which other sites' pages may call the REST API: those in CORS_ALLOWED_ORIGINS, by default none.

Pages send a key, never the session of a signed-in person: credentials of the browser are not allowed. The addresses
for SDKs, which are public, answer for themselves.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
REQUEST_HEADERS = "Authorization, Content-Type, If-Match"
RESPONSE_HEADERS = "ETag, Retry-After"
PREFLIGHT_SECONDS = 86400


class CORSMiddleware:
    """Adds the headers for configured origins to answers below /api/ and answers their preflight requests."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.CORS_ALLOWED_ORIGINS or not request.path.startswith("/api/"):
            return self.get_response(request)
        origin = request.headers.get("Origin")
        allowed = origin in settings.CORS_ALLOWED_ORIGINS
        if allowed and request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: HttpResponseBase = HttpResponse(status=204)
            response["Access-Control-Allow-Methods"] = METHODS
            response["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        else:
            response = self.get_response(request)
        if allowed and origin is not None:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
        patch_vary_headers(response, ["Origin"])
        return response
