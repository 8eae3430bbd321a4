"""Organizations and their members over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Missing
from projects import access, members, services
from projects.api import representation
from projects.api.base import OrganizationViewSet, ScopedViewSet
from projects.api.serializers import (
    OrganizationMemberSerializer,
    OrganizationMemberUpdateSerializer,
    OrganizationSerializer,
    OrganizationUpdateSerializer,
)
from projects.levels import check_level
from projects.models import Level, Organization, OrganizationMembership


class OrganizationsViewSet(ScopedViewSet):
    """The caller's organizations, as far as the caller's key sees them."""

    queryset = Organization.objects.all()
    serializer_class = OrganizationSerializer
    scope_object = "organization"
    write_level = Level.ADMIN
    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"
    path_texts = {"id": "The id of an organization, or `@current`."}
    organization: Organization

    def enter(self, request: Request) -> None:
        if self.detail:
            self.organization, self.level = access.enter_organization(request, self.kwargs["id"])
        else:
            super().enter(request)

    def check_write_level(self, minimum: int) -> None:
        if self.detail:  # a list belongs to no organization and is not written
            check_level(self.level, minimum)

    def get_queryset(self) -> QuerySet[Any]:
        return access.visible_organizations(self.request).order_by("created_at", "pk")

    def get_object(self) -> Organization:
        return self.organization

    def _shown(self, organization: Organization) -> Response:
        return Response(representation.organization(organization, level=self.level or 0))

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(
            [representation.organization(found, level=found.caller_level) for found in page]
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.organization)

    @extend_schema(request=OrganizationUpdateSerializer, responses=OrganizationSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        changes = self.read_body(OrganizationUpdateSerializer, partial=True)
        return self._shown(services.update_organization(organization=self.organization, changes=changes))


class MemberViewSet(OrganizationViewSet):
    """Who belongs to an organization. A path names a member by the user's UUID or as `@me`."""

    queryset = OrganizationMembership.objects.select_related("user")
    serializer_class = OrganizationMemberSerializer
    scope_object = "organization_member"
    write_level = Level.ADMIN
    sensitive_actions = ("partial_update", "destroy")
    lookup_url_kwarg = "user_uuid"
    lookup_value_regex = "[^/]+"
    path_texts = {"user_uuid": "The UUID of a user, or `@me`."}
    summaries = {
        "list": "List the members of an organization",
        "partial_update": "Change the level of a member",
        "destroy": "Remove a member from an organization",
    }

    @property
    def _names_caller(self) -> bool:
        named: str = self.kwargs.get("user_uuid", "")
        return named == "@me" or access.parse_uuid(named) == self.caller.uuid

    def check_write_level(self, minimum: int) -> None:
        if not (self.action == "destroy" and self._names_caller):  # anyone may leave
            check_level(self.level, minimum)

    def get_object(self) -> OrganizationMembership:
        uuid = self.caller.uuid if self._names_caller else access.parse_uuid(self.kwargs["user_uuid"])
        found: OrganizationMembership | None = (
            None if uuid is None else self.get_queryset().filter(user__uuid=uuid).first()
        )
        if found is None:
            raise Missing
        return found

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset().order_by("joined_at", "pk")) or []
        return self.get_paginated_response([representation.member(found) for found in page])

    @extend_schema(request=OrganizationMemberUpdateSerializer, responses=OrganizationMemberSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        membership = self.get_object()
        check_level(self.level, membership.level)
        wanted = self.read_body(OrganizationMemberUpdateSerializer, partial=True)
        changed = members.change_level(
            membership=membership, level=wanted.get("level", membership.level), actor_level=self.level
        )
        return Response(representation.member(changed))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        members.remove_member(membership=self.get_object(), actor=self.caller, actor_level=self.level)
        return Response(status=204)
