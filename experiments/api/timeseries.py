"""Results by day over REST."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.fields import DateTimeField
from common.api.serializers import ParsedField, RequestSerializer
from common.datetimes import format_datetime
from common.errors import Invalid
from experiments.api.metric_fields import MetricField
from experiments.api.result_schemas import MetricResultSerializer
from experiments.api.results import ExperimentResultsMixin
from experiments.models import RecalculationStatus, TimeseriesRecalculation
from experiments.results import recalculations, timeseries
from experiments.results.requests import require_started

MAX_FINGERPRINT = 64
_REQUIRED = ("metric_uuid", "fingerprint")
_TIMES = ("computed_at", "created_at", "updated_at")


@extend_schema_serializer(component_name="TimeseriesPoint")
class TimeseriesPointSerializer(MetricResultSerializer):
    kind = serializers.ChoiceField(choices=["ExperimentQuery"])


@extend_schema_serializer(component_name="TimeseriesResults")
class TimeseriesSerializer(serializers.Serializer[Any]):
    experiment_id = serializers.IntegerField()
    metric_uuid = serializers.CharField()
    status = serializers.ChoiceField(choices=["pending", "completed", "partial", "failed"])
    timeseries = serializers.DictField(
        child=TimeseriesPointSerializer(allow_null=True), help_text="By day: what was known at its end, or null."
    )
    errors = serializers.DictField(  # type: ignore[assignment]  # a field of that name, not the serializer's property
        child=serializers.CharField(), allow_null=True, help_text="By day: why nothing is known."
    )
    computed_at = DateTimeField(allow_null=True)
    created_at = DateTimeField()
    updated_at = DateTimeField()
    recalculation_status = serializers.ChoiceField(choices=["pending", "in_progress"], allow_null=True)
    recalculation_created_at = DateTimeField(allow_null=True)


@extend_schema_serializer(component_name="TimeseriesRecalculation")
class RecalculationSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    experiment_id = serializers.IntegerField()
    metric_uuid = serializers.CharField(allow_null=True)
    fingerprint = serializers.CharField()
    status = serializers.ChoiceField(choices=RecalculationStatus.choices)
    created_at = DateTimeField()


def _metric(sent: Any) -> dict[str, Any]:
    if sent is None or sent in ({}, ""):
        raise Invalid("metric is required", attr="metric")
    return sent  # type: ignore[no-any-return]  # that it is an object is asked once both are known to be there


def _fingerprint(sent: Any) -> str:
    if sent is None or sent == "":
        raise Invalid("fingerprint is required", attr="fingerprint")
    return sent  # type: ignore[no-any-return]  # see above


@extend_schema_serializer(component_name="TimeseriesRecalculationRequest")
class RecalculationRequest(RequestSerializer):
    metric = ParsedField(_metric, described_by=MetricField(), required=True)
    fingerprint = ParsedField(_fingerprint, described_by=serializers.CharField(max_length=64), required=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            # What is missing is told in the words of what is empty.
            data = {**dict.fromkeys(("metric", "fingerprint")), **data}
        values = super().to_internal_value(data)
        if not isinstance(values["metric"], dict):
            raise Invalid("metric must be an object", attr="metric")
        if not isinstance(values["fingerprint"], str):
            raise Invalid("fingerprint must be a string", attr="fingerprint")
        if len(values["fingerprint"]) > MAX_FINGERPRINT:
            raise Invalid(
                f"Ensure this field has no more than {MAX_FINGERPRINT} characters.",
                code="max_length",
                attr="fingerprint",
            )
        return values


def recalculation_shown(made: TimeseriesRecalculation) -> dict[str, Any]:
    """A recalculation as its requesters get it."""
    uuid = made.metric.get("uuid")
    return {
        "id": str(made.pk),
        "experiment_id": made.experiment_id,
        "metric_uuid": uuid if isinstance(uuid, str) else None,
        "fingerprint": made.fingerprint,
        "status": made.status,
        "created_at": format_datetime(made.created_at),
    }


class ExperimentTimeseriesMixin(ExperimentResultsMixin):
    """How the numbers of a metric came about, day by day."""

    summaries: ClassVar[Mapping[str, str]] = {
        **ExperimentResultsMixin.summaries,
        "timeseries_results": "Get the results of a metric by day",
    }

    @extend_schema(
        parameters=[
            OpenApiParameter("metric_uuid", OpenApiTypes.STR, required=True),
            OpenApiParameter(
                "fingerprint", OpenApiTypes.STR, required=True, description="The fingerprint that the metric shows."
            ),
        ],
        responses=TimeseriesSerializer,
    )
    @action(detail=True, methods=["get"])
    def timeseries_results(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        experiment = self._experiment()
        asked = {name: request.query_params.get(name, "") for name in _REQUIRED}
        for name, value in asked.items():
            if not value:
                raise Invalid(f"{name} query parameter is required")
        require_started(experiment)
        found = timeseries.shown(experiment, now=timezone.now(), **asked)
        active = recalculations.active(experiment, asked["fingerprint"])
        times = {name: found[name] and format_datetime(found[name]) for name in _TIMES}
        return Response(
            {
                **found,
                **times,
                "recalculation_status": active and active.status,
                "recalculation_created_at": active and format_datetime(active.created_at),
            }
        )
