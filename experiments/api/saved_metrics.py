"""Saved metrics over REST."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.serializers import ParsedField, RequestSerializer
from common.documents import as_text, fragment
from common.errors import Missing
from experiments import saved_metrics
from experiments.api.metric_fields import MetricField
from experiments.models import ExperimentSavedMetric
from projects.api.base import ProjectViewSet
from projects.api.user_basic import UserBasicSerializer, user_basic_columns, user_basic_of_row

_PLAIN = ("id", "name", "description", "tags", "created_at", "updated_at")


class ExperimentSavedMetricSerializer(serializers.Serializer[Any]):
    """Describes a saved metric as it is read."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    query = MetricField()
    created_by = UserBasicSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    tags = serializers.ListField(child=serializers.CharField())
    user_access_level = serializers.CharField(allow_null=True)


class TagsField(serializers.ListField):
    """Tags: trimmed, each once, sorted; null means none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=255), allow_null=True, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return [] if data is None else super().run_validation(data)

    def to_internal_value(self, data: Any) -> list[str]:
        return sorted(set(super().to_internal_value(data)))


@extend_schema_serializer(component_name="ExperimentSavedMetricWrite")
class SavedMetricRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH. The query is judged against the stored one."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    query = ParsedField(lambda query: query, described_by=MetricField(), required=True)
    tags = TagsField(required=False)


class ExperimentSavedMetricViewSet(ProjectViewSet):
    """The saved metrics of a project."""

    queryset = ExperimentSavedMetric.objects.all()
    serializer_class = ExperimentSavedMetricSerializer
    scope_object = "experiment_saved_metric"
    alternative_scope_objects = ("experiment",)

    def _rows(self, queryset: QuerySet[ExperimentSavedMetric]) -> QuerySet[ExperimentSavedMetric, dict[str, Any]]:
        columns = {"text_query": as_text("query"), **user_basic_columns("created_by")}
        selected: QuerySet[ExperimentSavedMetric, dict[str, Any]] = queryset.annotate(**columns).values(
            *_PLAIN, *columns
        )
        return selected

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": row["id"],
            "name": row["name"],
            "description": row["description"],
            "query": fragment(row["text_query"]),
            "created_by": user_basic_of_row(row, "created_by"),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "tags": row["tags"],
            "user_access_level": self.user_access_level,
        }

    def _one(self, saved_metric_id: int, *, status: int = 200) -> Response:
        row = self._rows(self.get_queryset().filter(pk=saved_metric_id)).first()
        if row is None:
            raise Missing
        return Response(self._shown(row), status=status)

    @extend_schema(
        parameters=[OpenApiParameter("search", OpenApiTypes.STR, description="Part of the name, in any case.")]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_queryset().order_by(Lower("name"), "id")
        if term := request.query_params.get("search"):
            found = found.filter(name__icontains=term)
        page = self.paginate_queryset(self._rows(found)) or []
        return self.get_paginated_response([self._shown(row) for row in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._one(self.object_id)

    @extend_schema(request=SavedMetricRequest, responses={201: ExperimentSavedMetricSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = SavedMetricRequest(data=self.check_body()).read()
        saved_metric = saved_metrics.create_saved_metric(project=self.project, user=self.caller, fields=fields)
        return self._one(saved_metric.pk, status=201)

    @extend_schema(request=SavedMetricRequest)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            saved_metric = saved_metrics.lock_saved_metric(project=self.project, saved_metric_id=self.object_id)
            changes = SavedMetricRequest(data=self.check_body(), partial=True).read()
            saved_metrics.update_saved_metric(saved_metric, user=self.caller, changes=changes)
        return self._one(saved_metric.pk)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            saved_metric = saved_metrics.lock_saved_metric(project=self.project, saved_metric_id=self.object_id)
            saved_metrics.delete_saved_metric(saved_metric, user=self.caller)
        return Response(status=204)
