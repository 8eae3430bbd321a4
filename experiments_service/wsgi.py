"""The WSGI application, as granian's worker processes load it."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import get_resolver

from experiments_service import chunked_bodies, lifeline

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "experiments_service.settings")
lifeline.end_with_parent()
_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's answer; a complete one as a list, which granian sends in one piece instead of iterating."""
    chunked_bodies.announce_length(environ, limit=settings.MAX_REQUEST_BYTES)
    response = _django(environ, start_response)
    if not isinstance(response, HttpResponse):
        return response
    body = [response.content]
    response.close()
    return body


get_resolver().url_patterns  # noqa: B018  (loads every view now instead of during the first request)
# What is loaded now lives as long as the process: the garbage collector need not look at it again.
gc.collect()
gc.freeze()
