"""Cohorts over REST."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import Any, cast

import orjson
from django.http import FileResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from activity.api.pages import ITEM_ACTIVITY_PARAMETERS, item_activity
from activity.api.serializers import ItemActivitySerializer
from activity.models import Scope
from activity.queries import of_items
from cohorts import services, static_members, usage
from cohorts.api import filters, representation, schemas
from cohorts.models import Cohort
from common.api.pagination import Pages
from common.errors import Missing
from events import person_reading
from events.api.limits import answered_in_time
from events.api.pages import UncountedPages, text_parameter
from events.api.persons import shown as shown_person
from events.person_reading import FoundPerson, PersonSearch
from projects.access import parse_uuid
from projects.api.base import DeleteByPatch, ProjectViewSet

_PAGE_PARAMETERS = [
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, description="How many."
    ),
    OpenApiParameter("offset", {"type": "integer", "minimum": 0, "default": 0}, description="How many to pass over."),
]
_CSV_ROWS = 1000
_CSV_BYTES_IN_MEMORY = 1_048_576
_CSV_HEADER = ("person_id", "distinct_id", "email", "name")


class CohortViewSet(DeleteByPatch, ProjectViewSet):
    """Cohorts of a project. Deleted ones are missing in lists and reached by their id, so that they can return."""

    queryset = Cohort.objects.all()
    serializer_class = schemas.CohortSerializer
    scope_object = "cohort"
    lookup_value_regex = "[^/]+"
    action_scopes = {"activity": ("activity_log:read",)}
    summaries = {
        "persons": "List the persons of a cohort",
        "calculation_history": "List the calculations of a cohort",
        "activity": "List the changes of a cohort",
        "used_in": "List what uses a cohort",
        "add_persons_to_static_cohort": "Add persons to a static cohort",
        "remove_person_from_static_cohort": "Remove a person from a static cohort",
    }
    action_refusals = {"persons": (504,)}

    def _shown(self, cohort_id: int, *, status: int = 200) -> Response:
        cohort = self.get_queryset().select_related("created_by").filter(pk=cohort_id).first()
        if cohort is None:
            raise Missing
        return Response(representation.shown(cohort), status=status)

    @property
    def _cohort(self) -> Cohort:
        cohort = cast(Cohort, self.get_object())
        cohort.project = self.project
        return cohort

    @extend_schema(parameters=filters.PARAMETERS, responses=schemas.CohortListItemSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = filters.filtered(self.get_queryset(), request).order_by("-created_at", "-pk")
        basic = filters.is_true(request.query_params.get("basic"))
        if not basic:
            found = found.select_related("created_by").prefetch_related("experiments")
        page = self.paginate_queryset(found) or []
        return self.get_paginated_response((representation.basics if basic else representation.listed)(page))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.object_id)

    @extend_schema(request=schemas.CohortRequest, responses={201: schemas.CohortSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.check_body()
        fields = schemas.CohortRequest(data=body).read()
        named = fields.pop("_create_static_person_ids", None)
        cohort = services.create_cohort(
            project=self.project,
            user=self.caller,
            is_static=fields.pop("is_static", False),
            source=services.StaticSource(
                csv=_uploaded(body.get("csv")),
                person_uuids=None if named is None else [uuid for text in named if (uuid := parse_uuid(text))],
            ),
            folder=fields.pop("_create_in_folder", None),
            fields=_changes(fields),
        )
        return self._shown(cohort.pk, status=201)

    @extend_schema(request=schemas.CohortRequest, responses=schemas.CohortSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object()
        changes = _changes(schemas.CohortRequest(data=self.check_body(), partial=True).read())
        services.update_cohort(project=self.project, cohort_id=self.object_id, user=self.caller, changes=changes)
        return self._shown(self.object_id)

    def _search(self, request: Request, cohort: Cohort) -> PersonSearch:
        return PersonSearch(text=request.query_params.get("search") or None, cohort_id=cohort.pk)

    @extend_schema(
        parameters=[*_PAGE_PARAMETERS, text_parameter("search", "A distinct id, a uuid, or part of e-mail or name.")],
        responses=schemas.CohortPersonsSerializer,
    )
    @action(detail=True, methods=["get"])
    def persons(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        wanted = self._search(request, self._cohort)
        pages = UncountedPages()
        page = pages.page(
            request,
            lambda limit, offset: person_reading.search(
                project=self.project, wanted=wanted, limit=limit, offset=offset
            ),
        )
        return pages.get_paginated_response([shown_person(person) for person in page])

    @extend_schema(exclude=True)
    @action(detail=True, methods=["get"], url_path=r"persons\.csv")
    def persons_csv(self, request: Request, *args: Any, **kwargs: Any) -> FileResponse:
        wanted = self._search(request, self._cohort)
        # Written to its end before the answer begins: half of a list would look like a whole one.
        with ExitStack() as unless_sent:
            file = unless_sent.enter_context(SpooledTemporaryFile(max_size=_CSV_BYTES_IN_MEMORY))
            file.writelines(line.encode() for line in _csv_lines(self._all_persons(wanted)))
            file.seek(0)
            unless_sent.pop_all()
        return FileResponse(
            file,
            as_attachment=True,
            filename=f"cohort-{self.object_id}.csv",
            content_type="text/csv; charset=utf-8",
        )

    def _all_persons(self, wanted: PersonSearch) -> Iterator[FoundPerson]:
        """Page by page. Raises QueryTimeout."""
        while page := self._page_of_csv(wanted):
            yield from page
            wanted = replace(wanted, behind=page[-1])

    def _page_of_csv(self, wanted: PersonSearch) -> Sequence[FoundPerson]:
        with answered_in_time():
            return person_reading.search(project=self.project, wanted=wanted, limit=_CSV_ROWS)

    @extend_schema(parameters=_PAGE_PARAMETERS, responses=schemas.CohortCalculationsSerializer)
    @action(detail=True, methods=["get"])
    def calculation_history(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self._cohort.calculations.order_by("-started_at", "-pk")
        pages = Pages()
        page = pages.paginate_queryset(
            rows.values("id", "version", "started_at", "finished_at", "count", "error"), request, view=self
        )
        return pages.get_paginated_response(page)

    @extend_schema(parameters=ITEM_ACTIVITY_PARAMETERS, responses=ItemActivitySerializer)
    @action(detail=True, methods=["get"])
    def activity(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        entries = of_items(project=self.project, items=[(Scope.COHORT, self._cohort.pk)])
        return Response(item_activity(request, entries))

    @extend_schema(responses=schemas.CohortUsesSerializer)
    @action(detail=True, methods=["get"])
    def used_in(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        cohort = self._cohort
        experiments = cohort.experiments.filter(deleted=False).order_by("pk")
        return Response(
            {
                "feature_flags": [{"id": flag.id, "key": flag.key} for flag in usage.flags(cohort)],
                "cohorts": [{"id": other.pk, "name": other.name} for other in usage.cohorts(cohort)],
                "experiments": list(experiments.values("id", "name")),
            }
        )

    @extend_schema(request=schemas.StaticCohortPersonsRequest, responses=schemas.SuccessSerializer)
    @action(detail=True, methods=["patch"])
    def add_persons_to_static_cohort(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        cohort = self._cohort
        fields = schemas.StaticCohortPersonsRequest(data=self.check_body()).read()
        uuids = [uuid for text in fields["person_ids"] if (uuid := parse_uuid(text)) is not None]
        static_members.add_persons(cohort=cohort, uuids=uuids)
        return Response({"success": True})

    @extend_schema(request=schemas.StaticCohortPersonRequest, responses=schemas.SuccessSerializer)
    @action(detail=True, methods=["patch"])
    def remove_person_from_static_cohort(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        cohort = self._cohort
        fields = schemas.StaticCohortPersonRequest(data=self.check_body()).read()
        static_members.remove_person(cohort=cohort, key=fields["person_id"])
        return Response({"success": True})


def _changes(fields: dict[str, Any]) -> services.CohortChanges:
    changes: services.CohortChanges = {}
    for name in ("name", "description", "deleted", "filters"):
        if name in fields:
            changes[name] = fields[name]
    return changes


def _uploaded(file: Any) -> bytes | None:
    """The content of an uploaded file; None for anything else."""
    content = file.read() if hasattr(file, "read") else None
    return content if isinstance(content, bytes) else None


def _csv_lines(persons: Iterator[FoundPerson]) -> Iterator[str]:
    """Lines that name the persons in a way that a static cohort can be made of."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_CSV_HEADER)
    for person in persons:
        yield _taken(buffer)
        shown = shown_person(person)
        email = orjson.loads(person.properties).get("email")
        first = person.distinct_ids[0] if person.distinct_ids else ""
        writer.writerow([person.uuid, first, email if isinstance(email, str) else "", shown["name"]])
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
