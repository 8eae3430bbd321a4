"""The base of every REST view: access declared per action, rows reached through their project only."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from common.api.metadata import AddressMetadata
from common.api.parsing import mapping_of, refuse_bad_query
from common.errors import Missing
from projects import access
from projects.access import Accepts
from projects.api.throttling import RestThrottle
from projects.levels import check_level
from projects.models import Organization, Project, User
from projects.scopes import SECRET_KEY_SCOPES

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ScopedViewSet(GenericViewSet[Any]):
    """Declares what a caller needs. An action without its own entry needs `<scope_object>:read` or `:write`.

    A view's method is reached after route, credential, scope, membership, level, throttle and verb are settled; it
    looks up its object (`get_object()`) and only then reads the body (`check_body()`).
    """

    scope_object: ClassVar[str]
    # Further scope objects whose scopes serve as well, such as `experiment` for holdouts.
    alternative_scope_objects: ClassVar[Sequence[str]] = ()
    action_scopes: ClassVar[Mapping[str, Sequence[str]]] = {}
    accepts: ClassVar[Sequence[Accepts]] = (Accepts.PERSONAL,)
    action_accepts: ClassVar[Mapping[str, Sequence[Accepts]]] = {}
    # The lowest membership level that may write; None where every member may.
    write_level: ClassVar[int | None] = None
    # For the OpenAPI document: what each action does, in a few words to its callers, where no `@extend_schema` says so;
    # what to put into a part of the path that takes more than an id; the error statuses that only one action has.
    summaries: ClassVar[Mapping[str, str]] = {}
    path_texts: ClassVar[Mapping[str, str]] = {}
    action_refusals: ClassVar[Mapping[str, Sequence[int]]] = {}
    # Whether a session must be fresh to write here: keys, tokens, members, roles.
    sensitive_actions: ClassVar[Sequence[str]] = ()
    level: int | None = None
    throttle_classes = (RestThrottle,)
    metadata_class = AddressMetadata
    # An id with a dot in it is malformed, not another route.
    lookup_value_regex = "[^/]+"
    # PUT is offered nowhere.
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def required_scopes(self) -> Sequence[str]:
        """The scopes of the present action; any one of them suffices, the first is named in a refusal."""
        declared = self.action_scopes.get(self.action or "")
        if declared is not None:
            return declared
        level = "read" if self.request.method in SAFE_METHODS else "write"
        return [f"{name}:{level}" for name in (self.scope_object, *self.alternative_scope_objects)]

    def security_requirements(self) -> list[dict[str, list[str]]]:
        """The credentials of the present action as OpenAPI names them; any one of them suffices."""
        accepted = self.action_accepts.get(self.action or "", self.accepts)
        scopes = self.required_scopes()
        requirements = []
        if Accepts.PERSONAL in accepted:
            requirements += [{"PersonalAPIKeyAuth": [scope]} for scope in scopes] or [{"PersonalAPIKeyAuth": []}]
        if Accepts.PROJECT_SECRET in accepted:
            requirements += [{"ProjectSecretAPIKeyAuth": [s]} for s in scopes if s in SECRET_KEY_SCOPES]
        return requirements or [{"SessionAuth": []}]

    def check_permissions(self, request: Request) -> None:
        access.check_authenticated(request)
        access.check_query_token(request, self.project_in_path)
        access.check_credential(request, accepts=self.action_accepts.get(self.action or "", self.accepts))
        access.check_scope(request, self.required_scopes())
        self.enter(request)
        if self.write_level is not None and request.method not in SAFE_METHODS:
            self.check_write_level(self.write_level)
        if self.action in self.sensitive_actions:
            access.check_recent_sign_in(request)

    def check_write_level(self, minimum: int) -> None:
        """Raise Denied when the caller's level is too low for the present write."""
        check_level(self.level, minimum)

    @property
    def project_in_path(self) -> str:
        """The project as the path names it; empty on a path without one."""
        named: str = self.kwargs.get("project_id", "")
        return named

    def enter(self, request: Request) -> None:
        """Find the project or organization of the path and check the caller's standing in it."""
        access.check_key_unbound(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is not None:
            self._check_query(request)

    def _check_query(self, request: Request) -> None:
        try:
            refuse_bad_query(request._request)
        except ValidationError:
            if self.detail:
                self.get_object()  # An object that is not there is the earlier refusal.
            raise

    @property
    def caller(self) -> User:
        """The user who asks. Only for actions that take no project secret key."""
        user = self.request.user
        if not isinstance(user, User):
            raise TypeError("A project secret key has no user; this action must not accept one.")
        return user

    def peek_body(self) -> Mapping[str, Any]:
        """The body for what has to be known before the look-up; an unreadable one is empty here, and refused later."""
        raw: Any = self.request._request
        if getattr(raw, "unreadable_body", None) is None:
            try:
                return mapping_of(self.request.data)
            except APIException as error:
                raw.unreadable_body = error  # Read a second time it would be empty, without a word.
        return {}

    def check_body(self) -> dict[str, Any]:
        """The request's body, a mapping; raises the refusal of an unreadable one. Call it after `get_object()`."""
        unreadable: Exception | None = getattr(self.request._request, "unreadable_body", None)
        if unreadable is not None:
            raise unreadable
        return mapping_of(self.request.data)

    def read_body(self, serializer_class: type[Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
        """The request's body as the serializer validates it; raises the refusal of its first wrong field."""
        serializer = serializer_class(data=self.check_body(), partial=partial)
        serializer.is_valid(raise_exception=True)
        fields: dict[str, Any] = serializer.validated_data
        return fields


class ProjectViewSet(ScopedViewSet):
    """A resource below `/projects/{project_id}/`. `self.project` is that project, `get_queryset()` its rows."""

    project: Project

    def enter(self, request: Request) -> None:
        standing = access.enter_project(request, self.project_in_path)
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


class OrganizationViewSet(ScopedViewSet):
    """A resource below `/organizations/{organization_id}/`. `self.organization` is it, `self.level` the caller's."""

    organization: Organization

    def enter(self, request: Request) -> None:
        self.organization, self.level = access.enter_organization(request, self.kwargs["organization_id"])

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(organization=self.organization)

    def get_object(self) -> Any:
        key = access.parse_uuid(self.kwargs[self.lookup_url_kwarg or self.lookup_field])
        found = None if key is None else self.get_queryset().filter(pk=key).first()
        if found is None:
            raise Missing
        return found


class DeleteByPatch:
    """DELETE is refused with an empty body and no look-up: rows are deleted by PATCH `{"deleted": true}`."""

    deleted_by_patch = True

    @property
    def allowed_methods(self) -> list[str]:
        methods: list[str] = super().allowed_methods  # type: ignore[misc]  # of the view this is mixed into
        return [method for method in methods if method != "DELETE"]

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(status=405)
