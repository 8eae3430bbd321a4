"""Actions over REST."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.documents import as_text, fragment
from common.errors import Missing
from events import action_services
from events.api.pages import text_parameter
from events.api.serializers import ActionRequest, ActionSerializer
from events.models import Action
from projects.api.base import DeleteByPatch, ProjectViewSet
from projects.api.user_basic import user_basic_columns, user_basic_of_row

_PLAIN = ("id", "name", "description", "tags", "deleted", "created_at", "project_id", "folder")


def rows(queryset: QuerySet[Action]) -> QuerySet[Action, dict[str, Any]]:
    """`queryset` selecting, in its order, what `shown` reads."""
    columns = {"text_steps": as_text("steps"), **user_basic_columns("created_by")}
    selected: QuerySet[Action, dict[str, Any]] = queryset.annotate(**columns).values(*_PLAIN, *columns)
    return selected


def shown(row: Mapping[str, Any], *, user_access_level: str | None) -> dict[str, Any]:
    """The Action as clients read it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "tags": row["tags"],
        "steps": fragment(row["text_steps"]),
        "deleted": row["deleted"],
        "created_at": row["created_at"],
        "created_by": user_basic_of_row(row, "created_by"),
        "team_id": row["project_id"],
        "folder": row["folder"],
        "user_access_level": user_access_level,
        "is_action": True,
        "is_calculating": False,
        "post_to_slack": False,
        "slack_message_format": "",
        "last_calculated_at": None,
        "pinned_at": None,
        "creation_context": None,
        "bytecode_error": None,
    }


class ActionViewSet(DeleteByPatch, ProjectViewSet):
    """Actions of a project. Deleted ones are missing in lists and reached by their id, so that they can return."""

    queryset = Action.objects.all()
    serializer_class = ActionSerializer
    scope_object = "action"
    lookup_value_regex = "[^/]+"

    def _shown(self, action_id: int, *, status: int = 200) -> Response:
        row = rows(self.get_queryset().filter(pk=action_id)).first()
        if row is None:
            raise Missing
        return Response(shown(row, user_access_level=self.user_access_level), status=status)

    @extend_schema(parameters=[text_parameter("search", "Part of the name.")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_queryset().filter(deleted=False)
        text = request.query_params.get("search")
        if text:
            found = found.filter(name__icontains=text)
        page = self.paginate_queryset(rows(found.order_by("-created_at", "-pk"))) or []
        return self.get_paginated_response([shown(row, user_access_level=self.user_access_level) for row in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.object_id)

    @extend_schema(request=ActionRequest, responses={201: ActionSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = ActionRequest(data=self.check_body()).read()
        folder = fields.pop("_create_in_folder", None)
        action = action_services.create_action(
            project=self.project,
            user=self.caller,
            fields=fields,  # type: ignore[arg-type]  # the fields of the serializer
            folder=folder,
        )
        return self._shown(action.pk, status=201)

    @extend_schema(request=ActionRequest, responses=ActionSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object()
        changes = ActionRequest(data=self.check_body(), partial=True).read()
        changes.pop("_create_in_folder", None)
        action_services.update_action(
            project=self.project,
            action_id=self.object_id,
            user=self.caller,
            changes=changes,  # type: ignore[arg-type]  # the fields of the serializer
        )
        return self._shown(self.object_id)
