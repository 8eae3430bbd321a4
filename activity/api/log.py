"""The activity log of a project over REST."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from activity import queries
from activity.api.pages import Page
from activity.api.serializers import ActivityLogEntrySerializer, ActivityLogSerializer
from activity.models import ActivityEntry, Scope
from common.datetimes import parse_datetime
from common.documents import as_text, fragment
from common.errors import Invalid
from projects.access import parse_uuid
from projects.api.base import ProjectViewSet
from projects.api.user_basic import user_basic_columns, user_basic_of_row

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
_ORDERINGS = {"-created_at": ("-created_at", "-id"), "created_at": ("created_at", "id")}
_PLAIN = ("id", "project_id", "organization_id", "is_system", "activity", "item_id", "scope", "created_at")


class LogCursor(CursorPagination):
    """`{next, previous, results}` with opaque cursors: entries written meanwhile neither repeat nor hide others."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def __init__(self, ordering: tuple[str, ...]) -> None:
        self._wanted = ordering

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return self._wanted

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        try:
            position = parse_datetime(cursor.position, attr="cursor")
        except Invalid as error:
            raise Invalid("Invalid cursor.", attr="cursor") from error
        return cursor._replace(position=position.isoformat())  # type: ignore[arg-type]  # it is a text; the stubs err


def _parameter(name: str, schema: dict[str, Any], description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=description)


_PARAMETERS = [
    _parameter("scope", {"type": "string", "enum": Scope.values}, "Only entries of this kind of object."),
    OpenApiParameter(
        "scopes",
        {"type": "array", "items": {"type": "string", "enum": Scope.values}},
        style="form",
        explode=False,
        description="Only entries of these kinds of objects.",
    ),
    _parameter("item_id", {"type": "string"}, "Only entries of the object with this id."),
    _parameter("user", {"type": "string", "format": "uuid"}, "Only entries of what this user did."),
    _parameter(
        "ordering",
        {"type": "string", "enum": list(_ORDERINGS), "default": "-created_at"},
        "Newest or oldest first.",
    ),
    _parameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
        "How many entries a page holds.",
    ),
    _parameter("cursor", {"type": "string"}, "Where a page begins; from the links of another page."),
    _parameter("page", {"type": "integer", "minimum": 1}, "Which page, from 1; instead of a cursor."),
]


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "user": user_basic_of_row(row, "user"),
        "unread": False,
        "team_id": row["project_id"],
        "organization_id": row["organization_id"],
        "was_impersonated": False,
        "is_system": row["is_system"],
        "activity": row["activity"],
        "item_id": row["item_id"],
        "scope": row["scope"],
        "detail": fragment(row["text_detail"]),
        "created_at": row["created_at"],
    }


class ActivityLogViewSet(ProjectViewSet):
    """Who changed what in a project."""

    queryset = ActivityEntry.objects.all()
    serializer_class = ActivityLogEntrySerializer
    scope_object = "activity_log"
    pagination_class = None  # by cursor or by page, as the request asks
    summaries = {"list": "List what changed in a project, and by whom"}

    @extend_schema(parameters=_PARAMETERS, responses=ActivityLogSerializer)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        ordering = request.query_params.get("ordering") or "-created_at"
        if ordering not in _ORDERINGS:
            raise Invalid(f'"{ordering}" is not a valid choice.', code="invalid_choice", attr="ordering")
        entries = self._asked_for(request)
        columns = {"text_detail": as_text("detail"), **user_basic_columns("user")}
        rows = entries.annotate(**columns).values(*_PLAIN, *columns)
        if "page" in request.query_params:
            return self._numbered(request, entries, rows.order_by(*_ORDERINGS[ordering]))
        cursor = LogCursor(_ORDERINGS[ordering])
        page: Iterable[dict[str, Any]] = cursor.paginate_queryset(rows, request, self) or []
        return cursor.get_paginated_response([_entry(row) for row in page])

    def _numbered(self, request: Request, entries: QuerySet[ActivityEntry], rows: QuerySet[Any]) -> Response:
        page = Page.asked(request, size_name="page_size", default=PAGE_SIZE, limit=MAX_PAGE_SIZE)
        total = entries.count()
        return Response({"count": total, **page.links(total), "results": [_entry(row) for row in page.cut(rows)]})

    def _asked_for(self, request: Request) -> QuerySet[ActivityEntry]:
        query = request.query_params
        entries = queries.of_project(self.project)
        if query.get("scope"):
            entries = entries.filter(scope=query["scope"])
        scopes = [scope for value in query.getlist("scopes") for scope in value.split(",") if scope]
        if scopes:
            entries = entries.filter(scope__in=scopes)
        if query.get("item_id"):
            entries = entries.filter(item_id=query["item_id"])
        if query.get("user"):
            user = parse_uuid(query["user"])
            if user is None:
                raise Invalid("Must be a valid UUID.", attr="user")
            entries = entries.filter(user__uuid=user)
        return entries
