"""The OpenAPI document over HTTP, and two pages to read it with."""

from functools import cache
from typing import Any

from drf_spectacular.settings import spectacular_settings
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


@cache
def document() -> dict[str, Any]:
    """The document, made once by each process: it says the same to everybody."""
    made: dict[str, Any] = spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(request=None, public=True)
    return made


class ByFormatOrAccept(DefaultContentNegotiation):
    """The query's `format`, else Accept, says which of the renderers answers."""

    settings_format_kwarg = None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        chosen: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, request.query_params.get("format") or format_suffix
        )
        return chosen


class DocumentView(SpectacularAPIView):
    """YAML; JSON by `?format=json` or Accept."""

    content_negotiation_class = ByFormatOrAccept

    def _get_schema_response(self, request: Request) -> Response:
        return Response(document())


# Redoc would load a logo, and Swagger UI a verdict on the document, from elsewhere.
ONLY_FROM_HERE = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class _OnlyFromHere(APIView):
    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Any:
        page = super().finalize_response(request, response, *args, **kwargs)
        page["Content-Security-Policy"] = ONLY_FROM_HERE
        return page


class SwaggerView(_OnlyFromHere, SpectacularSwaggerView):
    """Swagger UI; the browser loads nothing from any other place."""


class RedocView(_OnlyFromHere, SpectacularRedocView):
    """Redoc; the browser loads nothing from any other place."""

    template_name = "common/redoc.html"
