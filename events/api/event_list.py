"""Stored events over REST, for debugging: read only."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from common import documents
from common.datetimes import parse_datetime
from common.documents import fragment
from common.errors import Invalid, Missing
from events import actions, person_reading
from events.api.limits import answered_in_time
from events.api.pages import text_parameter
from events.api.property_parameter import PROPERTIES_PARAMETER, event_conditions
from events.api.serializers import EventPageSerializer, EventSerializer
from events.models import Action, Event, Person
from events.person_reading import FoundPerson
from events.store import event_store
from events.store.base import EventRow
from events.store.plans import EVERY_EVENT, RowsPlan, Selection
from projects.access import parse_id, parse_uuid
from projects.api.base import ProjectViewSet

LIMIT = 100
MAX_LIMIT = 1000
MAX_DISTINCT_IDS = 10
_ORDERS = {"-timestamp": True, "timestamp": False}
_PARAMETERS = [
    text_parameter("event", "Only events of this name."),
    text_parameter("distinct_id", "Only events sent with this distinct id."),
    text_parameter("person_id", "Only events of the person with this uuid or id, those before merges included."),
    OpenApiParameter("action_id", {"type": "integer"}, description="Only events that the action selects."),
    text_parameter("after", "Only events later than this.", format="date-time"),
    text_parameter("before", "Only events earlier than this.", format="date-time"),
    PROPERTIES_PARAMETER,
    text_parameter("orderBy", 'A JSON list: `["-timestamp"]` (default) or `["timestamp"]`.'),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT},
        description="How many events a page holds.",
    ),
    text_parameter("cursor", "Where a page begins; from the link of another page."),
]


def shown(row: EventRow, persons: Mapping[UUID, FoundPerson]) -> dict[str, Any]:
    """The Event as clients read it."""
    person = persons.get(row.person_id)
    return {
        "id": row.uuid,
        "event": row.event,
        "distinct_id": row.distinct_id,
        "timestamp": row.timestamp,
        "properties": fragment(row.properties),
        "person": None
        if person is None
        else {
            "uuid": person.uuid,
            "is_identified": person.is_identified,
            "distinct_ids": person.distinct_ids,
            "properties": fragment(person.properties),
        },
        "elements": [],
        "elements_chain": "",
    }


class EventViewSet(ProjectViewSet):
    """The events of a project."""

    queryset = Event.objects.all()
    serializer_class = EventSerializer
    scope_object = "query"
    pagination_class = None
    lookup_value_regex = "[^/]+"
    path_texts = {"uuid": "The uuid of an event."}
    action_refusals = {"list": (504,), "retrieve": (504,)}

    def _read(self, plan: RowsPlan) -> tuple[list[EventRow], Mapping[UUID, FoundPerson]]:
        """The events of the plan, with their persons. Raises QueryTimeout."""
        with answered_in_time():
            rows = event_store().rows(plan)
            return rows, person_reading.by_uuid(
                project=self.project, uuids={row.person_id for row in rows}, most_distinct_ids=MAX_DISTINCT_IDS
            )

    @extend_schema(parameters=_PARAMETERS, responses=EventPageSerializer)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        plan = self._plan(request)
        if plan is None:
            return Response({"next": None, "results": []})
        rows, persons = self._read(plan)
        page = rows[: plan.limit - 1]
        following = None
        if len(rows) == plan.limit:
            here = request.build_absolute_uri()
            following = replace_query_param(here, "cursor", _cursor(page[-1]))
        return Response({"next": following, "results": [shown(row, persons) for row in page]})

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        uuid = parse_uuid(kwargs["pk"])
        if uuid is None:
            raise Missing
        rows, persons = self._read(RowsPlan(project_id=self.project.pk, uuid=uuid, limit=1))
        if not rows:
            raise Missing
        return Response(shown(rows[0], persons))

    def _plan(self, request: Request) -> RowsPlan | None:
        """What the query asks for, one row more than a page; None when it cannot match anything."""
        query = {name: str(value) for name, value in request.query_params.items() if value}
        person_id = None
        if "person_id" in query:
            person_id = self._person(query["person_id"])
            if person_id is None:
                return None
        return RowsPlan(
            project_id=self.project.pk,
            selection=self._selection(request, query),
            zone=self.project.timezone,
            event=query.get("event"),
            distinct_id=query.get("distinct_id"),
            person_id=person_id,
            after=_time(query, "after"),
            before=_time(query, "before"),
            newest_first=_newest_first(query.get("orderBy")),
            behind=_position(query["cursor"]) if "cursor" in query else None,
            limit=_limit(query.get("limit", "")) + 1,
        )

    def _person(self, key: str) -> UUID | None:
        number = parse_id(key)
        if number is not None:
            persons = Person.objects.filter(project=self.project, pk=number)
            return persons.values_list("uuid", flat=True).first()
        uuid = parse_uuid(key)
        return None if uuid is None else person_reading.survivor(project=self.project, uuid=uuid)

    def _selection(self, request: Request, query: Mapping[str, str]) -> Selection:
        steps = self._action(query["action_id"]).steps if "action_id" in query else EVERY_EVENT.steps
        return Selection(steps=steps, conditions=event_conditions(request, project=self.project))

    def _action(self, text: str) -> Selection:
        number = parse_id(text)
        found = Action.objects.filter(project=self.project, pk=number or 0, deleted=False).first()
        if found is None:
            raise Invalid(f"Action with id {text} does not exist", attr="action_id")
        found.project = self.project
        try:
            return actions.selection(found)
        except Invalid as error:
            raise Invalid(error.detail, attr="action_id") from error


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    return parse_datetime(query[name], attr=name) if name in query else None


def _newest_first(sent: str | None) -> bool:
    if sent is None:
        return True
    try:
        order = documents.loads(sent)
    except documents.DocumentError:
        order = sent
    name = order[0] if isinstance(order, list) and len(order) == 1 else order
    if not isinstance(name, str) or name not in _ORDERS:
        raise Invalid(f'"{sent}" is not a valid choice.', code="invalid_choice", attr="orderBy")
    return _ORDERS[name]


def _limit(sent: str) -> int:
    number = parse_id(sent)
    return min(number, MAX_LIMIT) if number else LIMIT


def _cursor(row: EventRow) -> str:
    return base64.urlsafe_b64encode(f"{row.timestamp.isoformat()} {row.uuid}".encode()).decode()


def _position(cursor: str) -> tuple[datetime, UUID]:
    try:
        time, uuid = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return parse_datetime(time, attr="cursor"), UUID(uuid)
    except (ValueError, binascii.Error, Invalid) as error:
        raise Invalid("Invalid cursor.", attr="cursor") from error
