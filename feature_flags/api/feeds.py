"""What servers fetch with a secret: definitions to evaluate flags themselves, and remote configuration."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from feature_flags import local_definitions, remote_config
from feature_flags.api.feed_serializers import LocalEvaluationSerializer
from feature_flags.definitions_cache import cache
from projects.access import Accepts
from projects.api.base import ProjectViewSet
from projects.api.throttling import DefinitionsThrottle
from projects.authentication import PersonalKeyCredential

SECRETS = (Accepts.PERSONAL, Accepts.PROJECT_SECRET, Accepts.SECRET_TOKEN)
_FEEDS = ("local_evaluation", "remote_config")


def _is_known(etag: str, header: str) -> bool:
    """Whether an If-None-Match header names the tag: weak, strong or bare, alone or among others."""
    bare = etag.removeprefix("W/").strip('"')
    return any(sent.strip().removeprefix("W/").strip('"') in (bare, "*") for sent in header.split(","))


def tagged(request: HttpRequest, body: bytes) -> HttpResponse:
    """The JSON body with its weak ETag, or 304 without a body for a client that has it already."""
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    if _is_known(etag, request.headers.get("If-None-Match", "")):
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(body, content_type="application/json")
    response["ETag"] = etag
    response["Cache-Control"] = "private, must-revalidate"
    return response


def definitions_of(request: HttpRequest, project_id: int) -> HttpResponse:
    """The definitions feed of a project."""
    return tagged(request, local_definitions.feed(cache.of_project(project_id)))


TOKEN_PARAMETER = OpenApiParameter(
    "token", OpenApiTypes.STR, description="The project's token; with `@current` it says which project is meant."
)


class FlagFeeds(ProjectViewSet):
    """The feeds of the flags resource. They take project secrets, and have an allowance of their own."""

    feed_accepts: ClassVar[Mapping[str, tuple[Accepts, ...]]] = dict.fromkeys(_FEEDS, SECRETS)

    def get_throttles(self) -> list[Any]:
        return [DefinitionsThrottle()] if self.action in _FEEDS else super().get_throttles()

    @extend_schema(
        parameters=[
            TOKEN_PARAMETER,
            OpenApiParameter("send_cohorts", OpenApiTypes.STR, description="Has no effect: cohorts are always told."),
            OpenApiParameter("If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="A known ETag."),
        ],
        responses={200: LocalEvaluationSerializer, 304: OpenApiResponse(description="The client has it already.")},
    )
    @action(detail=False, methods=["get"])
    def local_evaluation(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return definitions_of(request._request, self.project.pk)

    @extend_schema(
        parameters=[TOKEN_PARAMETER],
        responses={200: OpenApiResponse(OpenApiTypes.STR, description="The payload's JSON text; empty without one.")},
    )
    @action(detail=True, methods=["get"])
    def remote_config(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        payload = remote_config.payload(
            project=self.project,
            key_or_id=self.kwargs[self.lookup_url_kwarg or self.lookup_field],
            in_clear=isinstance(request.auth, PersonalKeyCredential),
        )
        body = b"" if payload is None else orjson.dumps(payload)
        return HttpResponse(body, content_type="application/json")
