"""What client libraries send events to, at the root of the service."""

from django.urls import URLPattern, URLResolver, re_path

from events.api import capture

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^batch/?$", capture.batch),
    # Apart, so that the log says which of them was asked.
    *(re_path(rf"^{path}/?$", capture.capture) for path in ("capture", "e", "i/v0/e", "track")),
    re_path(r"^engage/?$", capture.engage),
]
