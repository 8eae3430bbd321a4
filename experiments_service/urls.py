"""Every address of the service. Routes take an optional trailing slash; nothing redirects."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from common.api import errors
from common.api.document import DocumentView, RedocView, SwaggerView
from experiments_service import health
from projects.pages import SignInView

handler500 = "common.api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    # Addresses are tried in this order: first what client libraries call all the time.
    path("", include("feature_flags.urls")),
    path("", include("events.urls")),
    path("", include("projects.urls")),
    path("_livez", health.livez),
    path("_readyz", health.readyz),
    path("", include("experiments.pages.urls")),
    path("admin/login/", SignInView.as_view()),  # one door, with one limit of attempts
    path("admin/", admin.site.urls),
    re_path(r"^api/schema/?$", DocumentView.as_view(), name="schema"),
    re_path(r"^api/schema/swagger-ui/?$", SwaggerView.as_view(url_name="schema"), name="swagger-ui"),
    re_path(r"^api/schema/redoc/?$", RedocView.as_view(url_name="schema"), name="redoc"),
    path("api/", include("projects.api.urls")),
    path("api/", include("activity.api.urls")),
    path("api/", include("events.api.urls")),
    path("api/", include("cohorts.api.urls")),
    path("api/", include("approvals.api.urls")),
    path("api/", include("feature_flags.api.urls")),
    path("api/", include("experiments.api.urls")),
    re_path(r"^api(/.*)?$", errors.endpoint_not_found),
]
