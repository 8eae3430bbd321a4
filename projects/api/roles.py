"""Roles of an organization and who has them, over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Missing
from projects import access, roles
from projects.api import representation
from projects.api.base import OrganizationViewSet
from projects.api.serializers import (
    RoleMembershipCreateSerializer,
    RoleMembershipSerializer,
    RoleSerializer,
    RoleWriteSerializer,
)
from projects.models import Level, Role, RoleMembership


class RoleViewSet(OrganizationViewSet):
    """Roles, for the approvers of changes."""

    queryset = Role.objects.all()
    serializer_class = RoleSerializer
    scope_object = "organization_member"
    write_level = Level.ADMIN
    sensitive_actions = ("create", "partial_update", "destroy")
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"

    def get_queryset(self) -> QuerySet[Role]:
        return representation.with_members(super().get_queryset()).order_by("created_at", "pk")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([representation.role(found) for found in page])

    @extend_schema(request=RoleWriteSerializer, responses={201: RoleSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = self.read_body(RoleWriteSerializer)
        made = roles.create_role(organization=self.organization, name=fields["name"], user=self.caller)
        return Response(representation.role(made), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.role(self.get_object()))

    @extend_schema(request=RoleWriteSerializer, responses=RoleSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        role = self.get_object()
        wanted = self.read_body(RoleWriteSerializer, partial=True)
        roles.rename_role(role=role, name=wanted.get("name", role.name))
        return Response(representation.role(self.get_object()))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object().delete()
        return Response(status=204)


class RoleMembershipViewSet(OrganizationViewSet):
    """The members who have a role."""

    queryset = RoleMembership.objects.select_related("membership__user")
    serializer_class = RoleMembershipSerializer
    scope_object = "organization_member"
    write_level = Level.ADMIN
    sensitive_actions = ("create", "destroy")
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    summaries = {
        "list": "List the members who have a role",
        "create": "Give a role to a member",
        "retrieve": "Get a member's hold of a role",
        "destroy": "Take a role from a member",
    }

    @property
    def _role(self) -> Role:
        key = access.parse_uuid(self.kwargs["role_id"])
        found = Role.objects.filter(organization=self.organization, pk=key).first() if key is not None else None
        if found is None:
            raise Missing
        return found

    def get_queryset(self) -> QuerySet[RoleMembership]:
        return RoleMembership.objects.select_related("membership__user").filter(role=self._role)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset().order_by("joined_at", "pk")) or []
        return self.get_paginated_response([representation.role_membership(found) for found in page])

    @extend_schema(request=RoleMembershipCreateSerializer, responses={201: RoleMembershipSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        role = self._role
        fields = self.read_body(RoleMembershipCreateSerializer)
        made = roles.add_to_role(role=role, user_uuid=fields["user_uuid"])
        return Response(representation.role_membership(made), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.role_membership(self.get_object()))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object().delete()
        return Response(status=204)
