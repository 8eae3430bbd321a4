"""Groups and their types over REST: read only."""

from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Invalid, Missing
from events.api.pages import UncountedPages, text_parameter
from events.api.serializers import GroupSerializer, GroupTypeSerializer
from events.models import Group, GroupType
from projects.access import parse_id
from projects.api.base import ProjectViewSet

_INDEX = OpenApiParameter(
    "group_type_index",
    {"type": "integer", "minimum": 0, "maximum": 4},
    required=True,
    description="The index of the group type.",
)


def shown(group: Group) -> dict[str, Any]:
    """The Group as clients read it."""
    return {
        "group_type_index": group.group_type_index,
        "group_key": group.group_key,
        "group_properties": group.group_properties,
        "created_at": group.created_at,
    }


def _index(request: Request) -> int:
    sent = request.query_params.get("group_type_index")
    if not sent:
        raise Invalid("This field is required.", code="required", attr="group_type_index")
    index = parse_id(sent)
    if index is None:
        raise Invalid("A valid integer is required.", attr="group_type_index")
    return index


class GroupViewSet(ProjectViewSet):
    """The groups of a project."""

    queryset = Group.objects.all()
    serializer_class = GroupSerializer
    scope_object = "group"
    pagination_class = UncountedPages
    summaries = {"find": "Find a group by its key"}
    action_refusals = {"list": (504,)}

    def _of_type(self, request: Request) -> QuerySet[Group]:
        found: QuerySet[Group] = self.get_queryset().filter(group_type_index=min(_index(request), 2**15 - 1))
        return found

    @extend_schema(parameters=[_INDEX, text_parameter("search", "Part of the key or of the property `name`.")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        groups = self._of_type(request).order_by("-created_at", "-pk")
        text = request.query_params.get("search")
        if text:
            named = groups.annotate(own_name=KeyTextTransform("name", "group_properties"))
            groups = named.filter(Q(group_key__icontains=text) | Q(own_name__icontains=text))
        pages = UncountedPages()
        page = pages.page(request, lambda limit, offset: groups[offset : offset + limit])
        return pages.get_paginated_response([shown(group) for group in page])

    @extend_schema(parameters=[_INDEX, text_parameter("group_key", "The key of the group.")], responses=GroupSerializer)
    @action(detail=False, methods=["get"])
    def find(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        group = self._of_type(request).filter(group_key=request.query_params.get("group_key", "")).first()
        if group is None:
            raise Missing
        return Response(shown(group))


class GroupTypeViewSet(ProjectViewSet):
    """The group types of a project."""

    queryset = GroupType.objects.all()
    serializer_class = GroupTypeSerializer
    scope_object = "group"
    pagination_class = None

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        columns = ("group_type", "group_type_index", "name_singular", "name_plural")
        return Response(list(self.get_queryset().order_by(F("group_type_index")).values(*columns)))
