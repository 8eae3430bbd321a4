"""Results and exposures of an experiment over REST."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import QueryTimeout
from events.store.base import StoreTimeout
from experiments.api.read import ReadExperiments
from experiments.api.result_schemas import ExperimentExposuresSerializer, ExperimentResultsSerializer
from experiments.models import Experiment
from experiments.results import report, requests

REFRESH = OpenApiParameter("refresh", OpenApiTypes.BOOL, description="true: compute everything anew.")


class ExperimentResultsMixin(ReadExperiments):
    """What an experiment has found out so far."""

    summaries: ClassVar[Mapping[str, str]] = {
        **ReadExperiments.summaries,
        "results": "Get the results of all metrics, from one cut of the data",
        "exposures": "Get how many users were exposed to which variant, day by day",
    }
    action_refusals: ClassVar[Mapping[str, tuple[int, ...]]] = {"results": (504,), "exposures": (504,)}

    @extend_schema(
        parameters=[
            OpenApiParameter("metric_uuid", OpenApiTypes.STR, description="Only this metric."),
            REFRESH,
            OpenApiParameter(
                "breakdown",
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
                style="form",
                explode=False,
                description="Event properties to split all metrics by, in place of their own breakdowns.",
            ),
        ],
        responses=ExperimentResultsSerializer,
    )
    @action(detail=True, methods=["get"])
    def results(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        experiment = self._experiment()
        sent = request.query_params.getlist("breakdown")
        names = [name for value in sent for name in value.split(",") if name]
        with within_the_limit():
            body = requests.results(
                experiment,
                metric_uuid=request.query_params.get("metric_uuid") or None,
                breakdown=names,
                refresh=self._refreshes(request),
            )
        return Response(body)

    @extend_schema(parameters=[REFRESH], responses=ExperimentExposuresSerializer)
    @action(detail=True, methods=["get"])
    def exposures(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with within_the_limit():
            body = requests.exposures(self._experiment(), refresh=self._refreshes(request))
        return Response(body)

    def _experiment(self) -> Experiment:
        """The experiment of the path with all that results look at."""
        experiment = cast(Experiment, self.get_object())
        experiment.project = self.project
        return experiment

    def _refreshes(self, request: Request) -> bool:
        return request.query_params.get("refresh", "").lower() == "true"


@contextmanager
def within_the_limit() -> Iterator[None]:
    """Raises QueryTimeout when what is computed inside takes longer than it may."""
    try:
        yield
    except StoreTimeout as error:
        raise QueryTimeout(report.timeout_seconds()) from error
