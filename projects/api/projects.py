"""Projects over REST: by themselves, and below their organization."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Missing
from projects import access, services, tokens
from projects.api import representation
from projects.api.base import OrganizationViewSet, ScopedViewSet
from projects.api.serializers import ProjectSerializer, ProjectWriteSerializer
from projects.levels import check_level
from projects.models import Level, Project


class ProjectsViewSet(ScopedViewSet):
    """The projects of all organizations of the caller, as far as the caller's key sees them."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    scope_object = "project"
    write_level = Level.ADMIN
    sensitive_actions = ("rotate_secret_token", "delete_secret_token_backup", "reset_token")
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    path_texts = {"id": "The id of a project, or `@current`."}
    summaries = {
        "rotate_secret_token": "Make a new secret token; the present one stays valid as backup",
        "delete_secret_token_backup": "Stop the backup of the secret token",
        "reset_token": "Make a new project token; the present one stops at once",
    }
    project: Project

    @property
    def project_in_path(self) -> str:
        named: str = self.kwargs.get("id", "")
        return named

    def enter(self, request: Request) -> None:
        if self.detail:
            standing = access.enter_project(request, self.project_in_path)
            self.project, self.level = standing.project, standing.level
        else:
            super().enter(request)

    def check_write_level(self, minimum: int) -> None:
        if self.detail:  # a list belongs to no organization and is not written
            check_level(self.level, minimum)

    def get_queryset(self) -> QuerySet[Project]:
        organizations = access.visible_organizations(self.request).values("pk")
        return Project.objects.filter(organization__in=organizations).order_by("pk")

    def get_object(self) -> Project:
        return self.project

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([representation.project(found) for found in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.project(self.project))

    @extend_schema(request=ProjectWriteSerializer, responses=ProjectSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        changes = self.read_body(ProjectWriteSerializer, partial=True)
        changed = services.update_project(project=self.project, user=self.caller, changes=changes)
        return Response(representation.project(changed))

    @extend_schema(request=None, responses=ProjectSerializer)
    @action(detail=True, methods=["patch"])
    def rotate_secret_token(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        changed, secret = tokens.rotate_secret_token(project=self.project, user=self.caller)
        return Response(representation.project(changed, secret=secret))

    @extend_schema(request=None, responses=ProjectSerializer)
    @action(detail=True, methods=["patch"])
    def delete_secret_token_backup(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        changed = tokens.delete_secret_token_backup(project=self.project, user=self.caller)
        return Response(representation.project(changed))

    @extend_schema(request=None, responses=ProjectSerializer)
    @action(detail=True, methods=["patch"])
    def reset_token(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.project(tokens.reset_token(project=self.project, user=self.caller)))


class OrganizationProjectViewSet(OrganizationViewSet):
    """The projects of one organization."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    scope_object = "project"
    write_level = Level.ADMIN
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    summaries = {
        "list": "List the projects of an organization",
        "create": "Create a project",
        "retrieve": "Get a project of an organization",
        "partial_update": "Change a project of an organization",
        "destroy": "Delete a project with everything in it",
    }

    def get_object(self) -> Project:
        number = access.parse_id(self.kwargs["id"])
        found: Project | None = None if number is None else self.get_queryset().filter(pk=number).first()
        if found is None:
            raise Missing
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset().order_by("pk")) or []
        return self.get_paginated_response([representation.project(found) for found in page])

    @extend_schema(request=ProjectWriteSerializer, responses={201: ProjectSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = self.read_body(ProjectWriteSerializer)
        made, secret = services.create_project(organization=self.organization, user=self.caller, **fields)
        return Response(representation.project(made, secret=secret), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.project(self.get_object()))

    @extend_schema(request=ProjectWriteSerializer, responses=ProjectSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        project = self.get_object()
        changes = self.read_body(ProjectWriteSerializer, partial=True)
        changed = services.update_project(project=project, user=self.caller, changes=changes)
        return Response(representation.project(changed))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        services.delete_project(project=self.get_object())
        return Response(status=204)
