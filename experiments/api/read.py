"""The reading half of the experiments resource."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from activity.api.pages import ITEM_ACTIVITY_PARAMETERS, item_activity
from activity.api.serializers import ItemActivitySerializer
from activity.queries import of_items
from common.api.pagination import Pages
from experiments import flag_implementation, history, launch_statistics, running_time
from experiments.api import eligible_flags, filters, representation, schemas
from experiments.api.requests import RunningTimeRequest
from experiments.models import Experiment
from feature_flags.api import representation as flag_representation
from feature_flags.models import FeatureFlag
from projects.access import Accepts
from projects.api.base import ProjectViewSet
from projects.models import Project

READABLE_BY_SECRET_KEYS = (Accepts.PERSONAL, Accepts.PROJECT_SECRET)


class ReadExperiments(ProjectViewSet):
    """list, retrieve and the project-wide questions. Soft-deleted experiments are not found."""

    queryset = Experiment.objects.filter(deleted=False)
    serializer_class = schemas.ExperimentSerializer
    entity_tagged = True
    scope_object = "experiment"
    action_scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "eligible_feature_flags": ("feature_flag:read",),
        "calculate_running_time": ("experiment:read",),
        "activity": ("activity_log:read",),
    }
    summaries: ClassVar[Mapping[str, str]] = {
        "eligible_feature_flags": "List the feature flags that an experiment can be made on",
        "calculate_running_time": "Calculate how long an experiment would have to run",
        "activity": "List the changes of an experiment and of what it uses",
        "stats": "Count the experiments that were launched, run and were completed",
        "requires_flag_implementation": "Tell whether events carry the feature flags yet",
    }
    action_accepts = {"list": READABLE_BY_SECRET_KEYS, "retrieve": READABLE_BY_SECRET_KEYS}

    @extend_schema(parameters=schemas.LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        selected = filters.filtered(self.get_queryset(), request.query_params, project=self.project)
        return Pages().read(
            request,
            lambda limit, offset: representation.listed(
                selected, limit=limit, offset=offset, user_access_level=self.user_access_level
            ),
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.shown(self.object_id, deleted=False)

    def shown(
        self,
        experiment_id: int,
        *,
        status: int = 200,
        project: Project | None = None,
        deleted: bool | None = None,
    ) -> Response:
        """The answer of every action that ends in one Experiment, of `project` if not of that in the path.

        A write shows what it wrote, also a deleted one.
        """
        answer = representation.one(
            project=project or self.project,
            experiment_id=experiment_id,
            user_access_level=self.user_access_level,
            deleted=deleted,
        )
        return Response(answer, status=status, headers={"ETag": representation.etag(answer)})

    @extend_schema(parameters=schemas.ELIGIBLE_FLAGS_PARAMETERS, responses=schemas.EligibleFeatureFlagsSerializer)
    @action(detail=False, methods=["get"])
    def eligible_feature_flags(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        flags = FeatureFlag.objects.filter(project=self.project)
        found = eligible_flags.filtered(flags, request.query_params)
        page = list(flag_representation.rows(found)[eligible_flags.window(request.query_params)])
        shown = flag_representation.from_rows(page, user_access_level=self.user_access_level)
        return Response({"results": shown, "count": found.count()})

    @extend_schema(request=RunningTimeRequest, responses=schemas.RunningTimeSerializer)
    @action(detail=False, methods=["post"])
    def calculate_running_time(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(running_time.plan(RunningTimeRequest(data=self.check_body()).read()))

    @extend_schema(parameters=ITEM_ACTIVITY_PARAMETERS, responses=ItemActivitySerializer)
    @action(detail=True, methods=["get"])
    def activity(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        items = history.items_of(cast(Experiment, self.get_object()))
        return Response(item_activity(request, of_items(project=self.project, items=items)))

    @extend_schema(responses=schemas.LaunchStatisticsSerializer)
    @action(detail=False, methods=["get"])
    def stats(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(launch_statistics.of_project(self.project))

    @extend_schema(parameters=schemas.FLAG_IMPLEMENTATION_PARAMETERS, responses=schemas.FlagImplementationSerializer)
    @action(detail=False, methods=["get"])
    def requires_flag_implementation(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        events, action_ids = (
            flag_implementation.parse_names(request.query_params.get(parameter), parameter=parameter)
            for parameter in ("events", "actions")
        )
        required = flag_implementation.is_required(project=self.project, events=events, action_ids=action_ids)
        return Response({"result": required})
