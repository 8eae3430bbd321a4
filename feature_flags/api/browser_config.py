"""What the browser library asks before anything else: its configuration, as JSON and as a script."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from feature_flags.api.sdk_endpoint import json_answer, plain, sdk_endpoint
from feature_flags.definitions_cache import cache
from feature_flags.project_definitions import ProjectDefinitions

_CACHE_CONTROL = "public, max-age=60"
_FALSE = (
    "surveys",
    "heatmaps",
    "capturePerformance",
    "captureDeadClicks",
    "autocaptureExceptions",
    "sessionRecording",
)


def config_of(project: ProjectDefinitions) -> bytes:
    """The configuration as JSON."""
    return project.memoized("browser config", lambda: orjson.dumps(_config(project)))


def _config(project: ProjectDefinitions) -> dict[str, Any]:
    return {
        "token": project.token,
        "supportedCompression": ["gzip", "gzip-js"],
        # False stops the browser from asking for flags at all.
        "hasFeatureFlags": project.has_active_flags,
        "analytics": {"endpoint": "/i/v0/e/"},
        "defaultIdentifiedOnly": True,
        "elementsChainAsString": True,
        "siteApps": [],
        **dict.fromkeys(_FALSE, False),
    }


@sdk_endpoint(methods=("GET",))
def config(request: HttpRequest, token: str) -> HttpResponse:
    project = cache.of_token(token)
    if project is None:
        return plain(404, "Unknown project token.")
    response = json_answer(config_of(project))
    response["Cache-Control"] = _CACHE_CONTROL
    return response


@sdk_endpoint(methods=("GET",))
def config_script(request: HttpRequest, token: str) -> HttpResponse:
    project = cache.of_token(token)
    if project is None:
        return plain(404, "Unknown project token.")
    # Tokens are made of letters, digits and underscores; as JSON any other would be harmless too.
    name = orjson.dumps(project.token).decode()
    script = (
        "window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {};\n"
        f"window._POSTHOG_REMOTE_CONFIG[{name}] = {{config: {config_of(project).decode()}, siteApps: []}};\n"
    )
    return _script(script)


@sdk_endpoint(methods=("GET",))
def surveys_script(request: HttpRequest) -> HttpResponse:
    """Nothing: there are no surveys, but the library asks for their script whatever the configuration says."""
    return _script("")


def _script(text: str) -> HttpResponse:
    response = HttpResponse(text, content_type="application/javascript; charset=utf-8")
    response["Cache-Control"] = _CACHE_CONTROL
    return response
