"""Persons over REST: read and deleted here, written by capture."""

from collections.abc import Sequence
from typing import Any

import orjson
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.fields import BooleanField
from common.documents import fragment
from events import person_deletion, person_reading
from events.api.pages import UncountedPages, text_parameter
from events.api.property_parameter import PROPERTIES_PARAMETER, person_conditions
from events.api.serializers import PersonsDeletionRequest, PersonsDeletionSerializer, PersonSerializer
from events.models import Person
from events.person_reading import FoundPerson, PersonSearch
from projects.api.base import ProjectViewSet

_NAMING = ("email", "name", "username")
_DELETE_EVENTS = OpenApiParameter(
    "delete_events", {"type": "boolean", "default": False}, description="Whether the events go too, soon."
)


def name_of(properties: dict[str, Any], distinct_ids: Sequence[str]) -> str:
    """What people call the person."""
    names = (properties.get(key) for key in _NAMING)
    return next((name for name in names if isinstance(name, str) and name), distinct_ids[0] if distinct_ids else "")


def shown(person: FoundPerson) -> dict[str, Any]:
    """The Person as clients read it."""
    return {
        "id": person.id,
        "uuid": person.uuid,
        "name": name_of(orjson.loads(person.properties), person.distinct_ids),
        "distinct_ids": person.distinct_ids,
        "properties": fragment(person.properties),
        "is_identified": person.is_identified,
        "created_at": person.created_at,
    }


class PersonViewSet(ProjectViewSet):
    """The persons of a project."""

    queryset = Person.objects.all()
    serializer_class = PersonSerializer
    scope_object = "person"
    pagination_class = UncountedPages
    lookup_value_regex = "[^/]+"
    path_texts = {"id": "The id or the uuid of a person; the uuid of one that was merged finds what it became."}
    summaries = {"bulk_delete": "Delete several persons"}
    action_refusals = {"list": (504,)}

    @extend_schema(
        parameters=[
            text_parameter("distinct_id", "Only the person with this distinct id."),
            text_parameter("email", "Only persons whose property `email` is this."),
            text_parameter("search", "A distinct id or uuid, or part of an e-mail or name."),
            PROPERTIES_PARAMETER,
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = request.query_params
        wanted = PersonSearch(
            distinct_id=query.get("distinct_id"),
            email=query.get("email"),
            text=query.get("search") or None,
            conditions=person_conditions(request, project=self.project),
        )
        pages = UncountedPages()
        page = pages.page(
            request,
            lambda limit, offset: person_reading.search(
                project=self.project, wanted=wanted, limit=limit, offset=offset
            ),
        )
        return pages.get_paginated_response([shown(person) for person in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(shown(person_reading.one(project=self.project, key=kwargs["pk"])))

    @extend_schema(parameters=[_DELETE_EVENTS], request=None, responses={202: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        person = person_reading.find(project=self.project, key=kwargs["pk"])
        person_deletion.delete_person(
            project=self.project, person=person, user=self.caller, delete_events=_is_true(request, "delete_events")
        )
        return Response(status=202)

    @extend_schema(request=PersonsDeletionRequest, responses={202: PersonsDeletionSerializer})
    @action(detail=False, methods=["post"])
    def bulk_delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = PersonsDeletionRequest(data={**_query(request), **self.check_body()}).read()
        deletion = person_deletion.delete_persons(
            project=self.project,
            ids=fields.get("ids", []),
            distinct_ids=fields.get("distinct_ids", []),
            user=self.caller,
            delete_events=fields.get("delete_events", False),
            keep_person=fields.get("keep_person", False),
        )
        answer = {
            "persons_found": deletion.found,
            "persons_deleted": deletion.deleted,
            "events_queued_for_deletion": deletion.events_queued,
        }
        return Response(answer, status=202)


def _query(request: Request) -> dict[str, Any]:
    """What the query says of a deletion; the body may say it as well, and wins."""
    query = request.query_params
    sent: dict[str, Any] = {name: query[name] for name in ("delete_events", "keep_person") if name in query}
    for name in ("ids", "distinct_ids"):
        if name in query:
            sent[name] = [part for value in query.getlist(name) for part in value.split(",") if part]
    return sent


def _is_true(request: Request, name: str) -> bool:
    sent = request.query_params.get(name)
    return False if sent in (None, "") else BooleanField().run_validation(sent)
