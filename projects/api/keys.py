"""Personal API keys and project secret keys over REST. A value is in the answer that makes it and in no other."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Missing
from projects import personal_keys, secret_keys
from projects.access import Accepts
from projects.api import representation
from projects.api.base import ProjectViewSet, ScopedViewSet
from projects.api.serializers import (
    PersonalAPIKeySerializer,
    PersonalAPIKeyWriteSerializer,
    ProjectSecretAPIKeySerializer,
    ProjectSecretAPIKeyWriteSerializer,
)
from projects.authentication import PersonalKeyCredential
from projects.models import Level, PersonalAPIKey, ProjectSecretAPIKey


def _found(queryset: QuerySet[Any], key_id: str) -> Any:
    # Ids of keys are letters and digits; other characters the database might not even take.
    found = queryset.filter(pk=key_id).first() if key_id.isascii() and key_id.isalnum() else None
    if found is None:
        raise Missing
    return found


class PersonalAPIKeyViewSet(ScopedViewSet):
    """The caller's own keys. Keys cannot manage keys: only a session may, and a key may only ask about itself."""

    queryset = PersonalAPIKey.objects.all()
    serializer_class = PersonalAPIKeySerializer
    pagination_class = None
    scope_object = "user"
    action_scopes = {"current": ()}
    accepts = (Accepts.SESSION_ONLY,)
    action_accepts = {"current": (Accepts.PERSONAL,)}
    sensitive_actions = ("create", "partial_update", "roll", "destroy")
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    action_refusals = {"current": (404,)}
    summaries = {
        "list": "List the caller's personal API keys",
        "roll": "Give a personal API key a new value",
        "current": "Get the personal API key that sends the request",
    }

    def enter(self, request: Request) -> None:
        """Bound to neither a project nor an organization, also for a key that is."""

    def get_queryset(self) -> QuerySet[PersonalAPIKey]:
        return PersonalAPIKey.objects.filter(user=self.caller).order_by("created_at", "pk")

    def get_object(self) -> PersonalAPIKey:
        found: PersonalAPIKey = _found(self.get_queryset().select_related("user"), self.kwargs["id"])
        return found

    @extend_schema(responses=PersonalAPIKeySerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response([representation.personal_key(key) for key in self.get_queryset()])

    @extend_schema(request=PersonalAPIKeyWriteSerializer, responses={201: PersonalAPIKeySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = self.read_body(PersonalAPIKeyWriteSerializer)
        key, value = personal_keys.create_own_key(user=self.caller, **fields)
        return Response(representation.personal_key(key, value=value), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.personal_key(self.get_object()))

    @extend_schema(request=PersonalAPIKeyWriteSerializer, responses=PersonalAPIKeySerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = self.get_object()
        changes = self.read_body(PersonalAPIKeyWriteSerializer, partial=True)
        return Response(representation.personal_key(personal_keys.update_personal_api_key(key=key, changes=changes)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object().delete()
        return Response(status=204)

    @extend_schema(request=None, responses=PersonalAPIKeySerializer)
    @action(detail=True, methods=["post"])
    def roll(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key, value = personal_keys.roll_personal_api_key(key=self.get_object())
        return Response(representation.personal_key(key, value=value))

    @extend_schema(responses=PersonalAPIKeySerializer)
    @action(detail=False, methods=["get"], url_path="@current")
    def current(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not isinstance(request.auth, PersonalKeyCredential):
            raise Missing  # a session has no key
        shown = representation.personal_key(request.auth.key)
        lists = {name: shown[name] or [] for name in ("scopes", "scoped_teams", "scoped_organizations")}
        return Response(shown | lists)


class ProjectSecretAPIKeyViewSet(ProjectViewSet):
    """The secret keys of a project."""

    queryset = ProjectSecretAPIKey.objects.select_related("created_by", "project")
    serializer_class = ProjectSecretAPIKeySerializer
    scope_object = "project"
    write_level = Level.ADMIN
    sensitive_actions = ("create", "partial_update", "roll", "destroy")
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    summaries = {"roll": "Give a project secret API key a new value"}

    def get_object(self) -> ProjectSecretAPIKey:
        found: ProjectSecretAPIKey = _found(self.get_queryset(), self.kwargs["id"])
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset().order_by("created_at", "pk")) or []
        return self.get_paginated_response([representation.secret_key(key) for key in page])

    @extend_schema(request=ProjectSecretAPIKeyWriteSerializer, responses={201: ProjectSecretAPIKeySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = self.read_body(ProjectSecretAPIKeyWriteSerializer)
        key, value = secret_keys.create_secret_key(project=self.project, user=self.caller, **fields)
        return Response(representation.secret_key(key, value=value), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.secret_key(self.get_object()))

    @extend_schema(request=ProjectSecretAPIKeyWriteSerializer, responses=ProjectSecretAPIKeySerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = self.get_object()
        changes = self.read_body(ProjectSecretAPIKeyWriteSerializer, partial=True)
        changed = secret_keys.update_secret_key(key=key, user=self.caller, changes=changes)
        return Response(representation.secret_key(changed))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        secret_keys.delete_secret_key(key=self.get_object(), user=self.caller)
        return Response(status=204)

    @extend_schema(request=None, responses=ProjectSecretAPIKeySerializer)
    @action(detail=True, methods=["post"])
    def roll(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key, value = secret_keys.roll_secret_key(key=self.get_object(), user=self.caller)
        return Response(representation.secret_key(key, value=value))
