"""The base of every REST view: access declared per action, rows reached through their project only."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from common.api.parsing import refuse_bad_query
from common.errors import Missing
from projects import access
from projects.access import Accepts
from projects.models import Project


class ScopedViewSet(GenericViewSet[Any]):
    """Declares what a caller needs. An action without its own entry needs `<scope_object>:read` or `:write`."""

    scope_object: ClassVar[str]
    # Further scope objects whose scopes serve as well, such as `experiment` for holdouts.
    alternative_scope_objects: ClassVar[Sequence[str]] = ()
    action_scopes: ClassVar[Mapping[str, Sequence[str]]] = {}
    accepts: ClassVar[Sequence[Accepts]] = (Accepts.PERSONAL,)
    action_accepts: ClassVar[Mapping[str, Sequence[Accepts]]] = {}
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def required_scopes(self) -> Sequence[str]:
        """The scopes of the present action; any one of them suffices, the first is named in a refusal."""
        declared = self.action_scopes.get(self.action or "")
        if declared is not None:
            return declared
        level = "read" if self.request.method in {"GET", "HEAD", "OPTIONS"} else "write"
        return [f"{name}:{level}" for name in (self.scope_object, *self.alternative_scope_objects)]

    def check_permissions(self, request: Request) -> None:
        refuse_bad_query(request.query_params.lists())
        access.check_credential(request, accepts=self.action_accepts.get(self.action or "", self.accepts))
        access.check_scope(request, self.required_scopes())
        self.enter(request)

    def enter(self, request: Request) -> None:
        """Find the project or organization of the path and check the caller's standing in it."""

    def check_body(self) -> dict[str, Any]:
        """The request's body, a mapping; raises the refusal of an unreadable one."""
        unreadable = getattr(self.request._request, "unreadable_body", None)
        if unreadable is not None:
            raise unreadable
        content: dict[str, Any] = self.request.data
        return content


class ProjectViewSet(ScopedViewSet):
    """A resource below `/projects/{project_id}/`. `self.project` is that project, `get_queryset()` its rows."""

    project: Project
    level: int | None

    def enter(self, request: Request) -> None:
        standing = access.enter_project(request, self.kwargs["project_id"])
        self.project, self.level = standing.project, standing.level
        # For the request's log line.
        request._request.project_id = standing.project.pk  # type: ignore[attr-defined]

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(project=self.project)

    @property
    def object_id(self) -> int:
        """The id of the path; raises Missing when it is no number a row can have."""
        number = access.parse_id(self.kwargs[self.lookup_url_kwarg or self.lookup_field])
        if number is None:
            raise Missing
        return number

    def get_object(self) -> Model:
        found: Model | None = self.get_queryset().filter(pk=self.object_id).first()
        if found is None:
            raise Missing
        return found

    @property
    def user_access_level(self) -> str | None:
        """Informs only; there is no per-object access control."""
        return None if self.level is None else "editor"


class DeleteByPatch:
    """DELETE is refused with an empty body and no look-up: rows are deleted by PATCH `{"deleted": true}`."""

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        allowed = [method for method in self.allowed_methods if method != "DELETE"]  # type: ignore[attr-defined]
        return Response(status=405, headers={"Allow": ", ".join(allowed)})
