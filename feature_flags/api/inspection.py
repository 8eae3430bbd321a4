"""What flags answer and why, for people: their own flags, reasons for anybody, reach of a condition, a dry run."""

from collections.abc import Mapping
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common import documents
from common.api.openapi_parameters import comma_list
from common.errors import Invalid
from events.api.limits import answered_in_time
from feature_flags import answers_for_people
from feature_flags.api.evaluation_request import groups_of
from feature_flags.api.filters import listed
from feature_flags.api.inspection_serializers import (
    EVALUATION_REASONS,
    BlastRadiusRequestSerializer,
    BlastRadiusSerializer,
    MyFlagSerializer,
    TestEvaluationRequestSerializer,
    TestEvaluationSerializer,
)
from feature_flags.api.minimal import minimal_flag_columns, minimal_flag_of_row
from feature_flags.blast_radius import blast_radius
from feature_flags.definitions_cache import cache
from feature_flags.dry_run import dry_run
from feature_flags.models import FeatureFlag
from projects.api.base import ProjectViewSet
from projects.authentication import PersonalKeyCredential

_GROUPS = OpenApiParameter(
    "groups", OpenApiTypes.STR, description="JSON object: the key of each group that is acted for, by group type."
)
_KEYS = comma_list("flag_keys", description="Only the flags of these keys.")


class FlagInspection(ProjectViewSet):
    """The actions of the flags resource that evaluate."""

    @extend_schema(
        operation_id="feature_flags_my_flags_retrieve",
        parameters=[_GROUPS, _KEYS],
        responses=MyFlagSerializer(many=True),
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def my_flags(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        values = answers_for_people.values(
            project=cache.of_project(self.project.pk),
            distinct_id=self.caller.distinct_id,
            groups=_groups(request),
            keys=_keys(request),
            now=timezone.now(),
        )
        columns = minimal_flag_columns()
        rows = self.get_queryset().filter(pk__in=values).order_by("key").annotate(**columns).values("pk", *columns)
        return Response(
            [
                {"feature_flag": minimal_flag_of_row(row, in_clear=self._reads_in_clear), "value": values[row["pk"]]}
                for row in rows
            ]
        )

    @extend_schema(
        operation_id="feature_flags_evaluation_reasons_retrieve",
        parameters=[
            OpenApiParameter("distinct_id", OpenApiTypes.STR, required=True, description="For whom."),
            _GROUPS,
            _KEYS,
        ],
        responses={(200, "application/json"): EVALUATION_REASONS},
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def evaluation_reasons(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        distinct_id = request.query_params.get("distinct_id")
        if not distinct_id:
            raise Invalid("This field is required.", code="required", attr="distinct_id")
        return Response(
            answers_for_people.reasons(
                project=cache.of_project(self.project.pk),
                distinct_id=distinct_id,
                groups=_groups(request),
                keys=_keys(request),
                now=timezone.now(),
            )
        )

    @extend_schema(request=BlastRadiusRequestSerializer, responses=BlastRadiusSerializer)
    @action(detail=False, methods=["post"])
    def user_blast_radius(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.check_body()
        if not isinstance(body.get("condition"), dict):
            raise Invalid("Missing condition for which to get blast radius")
        sent = self.read_body(BlastRadiusRequestSerializer)
        definitions = cache.of_project(self.project.pk)
        with answered_in_time():
            reached = blast_radius(
                project=self.project,
                definitions=definitions,
                condition=body["condition"],
                group_type_index=sent.get("group_type_index"),
                now=timezone.now(),
            )
        return Response(reached._asdict())

    @extend_schema(request=TestEvaluationRequestSerializer, responses=TestEvaluationSerializer)
    @action(detail=True, methods=["post"])
    def test_evaluation(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        flag = cast(FeatureFlag, self.get_object())
        flag.project = self.project
        sent = self.read_body(TestEvaluationRequestSerializer)
        return Response(
            dry_run(
                project=self.project,
                flag=flag,
                distinct_id=sent.get("distinct_id"),
                person_id=sent.get("person_id"),
                groups=groups_of(sent.get("groups") or {}),
                moment=sent.get("timestamp"),
                now=timezone.now(),
            )
        )

    @property
    def _reads_in_clear(self) -> bool:
        """Encrypted payloads are for personal keys."""
        return isinstance(self.request.auth, PersonalKeyCredential)


def _groups(request: Request) -> Mapping[str, str]:
    sent = request.query_params.get("groups")
    if not sent:
        return {}
    try:
        groups = documents.loads(sent)
    except documents.DocumentError:
        groups = None
    if not isinstance(groups, dict):
        raise Invalid("groups must be a JSON object.", attr="groups")
    return groups_of(groups)


def _keys(request: Request) -> frozenset[str] | None:
    sent = request.query_params.getlist("flag_keys")
    return frozenset(listed(sent, parameter="flag_keys")) if any(sent) else None
