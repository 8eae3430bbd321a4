"""The reading half of the experiments resource."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.pagination import Pages
from experiments import flag_implementation, launch_statistics
from experiments.api import filters, representation, schemas
from experiments.models import Experiment
from projects.access import Accepts
from projects.api.base import ProjectViewSet

READABLE_BY_SECRET_KEYS = (Accepts.PERSONAL, Accepts.PROJECT_SECRET)


class ReadExperiments(ProjectViewSet):
    """list, retrieve and the project-wide questions. Soft-deleted experiments are not found."""

    queryset = Experiment.objects.filter(deleted=False)
    serializer_class = schemas.ExperimentSerializer
    entity_tagged = True
    scope_object = "experiment"
    summaries: ClassVar[Mapping[str, str]] = {
        "stats": "Count the experiments that were launched, run and were completed",
        "requires_flag_implementation": "Tell whether events carry the feature flags yet",
    }
    action_accepts = {"list": READABLE_BY_SECRET_KEYS, "retrieve": READABLE_BY_SECRET_KEYS}

    @extend_schema(parameters=schemas.LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        selected = representation.rows(
            filters.filtered(self.get_queryset(), request.query_params, project=self.project)
        )
        pages = Pages()
        page = pages.paginate_queryset(selected, request, view=self) or []
        return pages.get_paginated_response(representation.from_rows(page, user_access_level=self.user_access_level))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.shown(self.object_id, deleted=False)

    def shown(self, experiment_id: int, *, status: int = 200, deleted: bool | None = None) -> Response:
        """The answer of every action that ends in one Experiment; a write shows what it wrote, also a deleted one."""
        answer = representation.one(
            project=self.project,
            experiment_id=experiment_id,
            user_access_level=self.user_access_level,
            deleted=deleted,
        )
        return Response(answer, status=status, headers={"ETag": representation.etag(answer)})

    @extend_schema(responses=schemas.LaunchStatisticsSerializer)
    @action(detail=False, methods=["get"])
    def stats(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(launch_statistics.of_project(self.project))

    @extend_schema(parameters=schemas.FLAG_IMPLEMENTATION_PARAMETERS, responses=schemas.FlagImplementationSerializer)
    @action(detail=False, methods=["get"])
    def requires_flag_implementation(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        for parameter in ("events", "actions"):
            flag_implementation.parse_names(request.query_params.get(parameter), parameter=parameter)
        return Response({"result": flag_implementation.is_required()})
