"""The query endpoint: questions about experiments, answered within the request."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.any_of import AnyOf
from experiments.api.query_requests import QueryRequest
from experiments.api.result_schemas import (
    ExperimentExposuresSerializer,
    ExperimentQueryResponseSerializer,
    NothingStoredSerializer,
)
from experiments.api.results import within_the_limit
from experiments.models import Experiment
from experiments.results import query
from projects.api.base import ProjectViewSet

ANSWER = AnyOf(
    "QueryResponse", [ExperimentQueryResponseSerializer, ExperimentExposuresSerializer, NothingStoredSerializer]
)


class QueryViewSet(ProjectViewSet):
    """Two kinds of questions. Asking changes nothing."""

    queryset = Experiment.objects.filter(deleted=False)
    scope_object = "query"
    action_scopes: ClassVar = {"create": ("query:read", "experiment:read")}
    summaries: ClassVar = {"create": "Ask for the numbers of a metric, or for exposures"}
    action_refusals: ClassVar = {"create": (504,)}

    @extend_schema(request=QueryRequest, responses={200: ANSWER})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = QueryRequest(data=self.check_body()).read()
        question = {"project": self.project, "freshness": asked.get("refresh", query.Freshness.FRESH), **asked["query"]}
        with within_the_limit():
            answer = query.metric(**question) if "document" in question else query.exposures(**question)
        return Response(answer)
