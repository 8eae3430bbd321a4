"""The names of events over REST: read only."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Invalid, Missing
from events.api.pages import text_parameter
from events.api.serializers import EventDefinitionSerializer
from events.models import EventDefinition
from projects.access import parse_uuid
from projects.api.base import ProjectViewSet

_COLUMNS = ("id", "name", "created_at", "last_seen_at")
_ORDERINGS = ("name", "created_at", "last_seen_at")


class EventDefinitionViewSet(ProjectViewSet):
    """The event names of a project."""

    queryset = EventDefinition.objects.all()
    serializer_class = EventDefinitionSerializer
    scope_object = "event_definition"
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[
            text_parameter("search", "Part of the name."),
            text_parameter(
                "ordering",
                "A leading `-` reverses the order.",
                enum=[*_ORDERINGS, *(f"-{name}" for name in _ORDERINGS)],
                default="name",
            ),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        ordering = request.query_params.get("ordering") or "name"
        if ordering.removeprefix("-") not in _ORDERINGS or ordering.startswith("--"):
            raise Invalid(f'"{ordering}" is not a valid choice.', code="invalid_choice", attr="ordering")
        definitions = self.get_queryset().order_by(ordering, "-pk" if ordering.startswith("-") else "pk")
        text = request.query_params.get("search")
        if text:
            definitions = definitions.filter(name__icontains=text)
        page = self.paginate_queryset(definitions.values(*_COLUMNS)) or []
        return self.get_paginated_response(page)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = parse_uuid(kwargs["pk"])
        definition = None if key is None else self.get_queryset().filter(pk=key).values(*_COLUMNS).first()
        if definition is None:
            raise Missing
        return Response(definition)
