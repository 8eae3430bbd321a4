"""What client libraries send events to, at the root of the service."""

from django.urls import URLPattern, URLResolver, re_path

from events.api import capture

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^batch/?$", capture.batch),
    re_path(r"^(?:capture|e|i/v0/e|track)/?$", capture.capture),
    re_path(r"^engage/?$", capture.engage),
]
