"""The caller over REST."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Missing
from projects import access, services
from projects.api import representation
from projects.api.base import ScopedViewSet
from projects.api.serializers import UserSerializer, UserUpdateSerializer
from projects.models import User


class UserViewSet(ScopedViewSet):
    """The caller, named `@me` or by their UUID. Nobody sees others here."""

    queryset = User.objects.all()
    serializer_class = UserSerializer
    scope_object = "user"
    lookup_url_kwarg = "uuid"
    lookup_value_regex = "[^/]+"
    path_texts = {"uuid": "`@me`, or the UUID of the caller."}
    summaries = {"retrieve": "Get the caller", "partial_update": "Change the caller"}

    def enter(self, request: Request) -> None:
        """Keys bound to projects or organizations may ask who they belong to."""

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.filter(pk=self.caller.pk)

    def get_object(self) -> User:
        named: str = self.kwargs["uuid"]
        if named != "@me" and access.parse_uuid(named) != self.caller.uuid:
            raise Missing
        return self.caller

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.user(self.get_object()))

    @extend_schema(request=UserUpdateSerializer, responses=UserSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        user = self.get_object()
        changes = self.read_body(UserUpdateSerializer, partial=True)
        if "set_current_organization" in changes:
            changes["current_organization"] = services.organization_to_enter(
                user=user,
                organization_id=changes.pop("set_current_organization"),
                attr="set_current_organization",
            )
        if "set_current_team" in changes:
            changes["current_project"] = services.project_to_enter(
                user=user, project_id=changes.pop("set_current_team"), attr="set_current_team"
            )
        return Response(representation.user(services.update_user(user=user, changes=changes)))
