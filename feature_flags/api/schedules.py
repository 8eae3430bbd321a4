"""Scheduled changes over REST."""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.models import ChangeRequest
from common.api.fields import BooleanField, DateTimeField
from common.documents import as_text, fragment
from common.errors import Missing
from feature_flags import schedules
from feature_flags.api.schedule_serializers import LIST_PARAMETERS, PayloadField, ScheduledChangeSerializer
from feature_flags.models import ScheduledChange
from projects.api.base import ProjectViewSet
from projects.api.user_basic import user_basic_columns, user_basic_of_row

_BEFORE_PAYLOAD = ("id", "project_id", "record_id", "model_name")
_AFTER_PAYLOAD = (
    "scheduled_at",
    "executed_at",
    "failure_reason",
    "created_at",
    "updated_at",
    "is_recurring",
    "recurrence_interval",
    "cron_expression",
    "last_executed_at",
    "end_date",
    "timezone",
)
_HIDDEN = ("change_request_id",)


class ScheduledChangeCreateSerializer(serializers.Serializer[Any]):
    record_id = serializers.CharField(max_length=200)
    model_name = serializers.ChoiceField(choices=[schedules.MODEL_NAME])
    payload = PayloadField()
    scheduled_at = DateTimeField()
    is_recurring = BooleanField(required=False)
    recurrence_interval = serializers.ChoiceField(
        choices=ScheduledChange.Interval.choices, required=False, allow_null=True
    )
    cron_expression = serializers.CharField(max_length=100, required=False, allow_null=True)
    end_date = DateTimeField(required=False, allow_null=True)
    timezone = serializers.CharField(max_length=64, required=False)


class ScheduledChangeUpdateSerializer(ScheduledChangeCreateSerializer):
    """The same for a PATCH."""


def rows(queryset: QuerySet[ScheduledChange]) -> QuerySet[ScheduledChange, dict[str, Any]]:
    """`queryset` selecting, in its order, what `shown` reads."""
    columns: dict[str, Any] = {
        "text_payload": as_text("payload"),
        "request_state": F("change_request__state"),
        "request_expires_at": F("change_request__expires_at"),
        **user_basic_columns("created_by"),
    }
    selected: QuerySet[ScheduledChange, dict[str, Any]] = queryset.annotate(**columns).values(
        *_BEFORE_PAYLOAD, *_AFTER_PAYLOAD, *_HIDDEN, *columns
    )
    return selected


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduled change as clients read it."""
    return {
        "id": row["id"],
        "team_id": row["project_id"],
        "record_id": row["record_id"],
        "model_name": row["model_name"],
        "payload": fragment(row["text_payload"]),
        **{name: row[name] for name in _AFTER_PAYLOAD},
        "created_by": user_basic_of_row(row, "created_by"),
        "change_request": _change_request(row),
    }


def _change_request(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["change_request_id"] is None:
        return None
    request = ChangeRequest(state=row["request_state"], expires_at=row["request_expires_at"])
    return {"id": row["change_request_id"], "state": request.state_at(timezone.now())}


class ScheduledChangeViewSet(ProjectViewSet):
    """The scheduled changes of a project."""

    queryset = ScheduledChange.objects.all()
    serializer_class = ScheduledChangeSerializer
    scope_object = "feature_flag"
    lookup_value_regex = "[^/]+"

    def _shown(self, change_id: int, *, status: int = 200) -> Response:
        row = rows(self.get_queryset().filter(pk=change_id)).first()
        if row is None:
            raise Missing
        return Response(shown(row), status=status)

    @extend_schema(parameters=LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        sent = {name: request.query_params.get(name) for name in ("model_name", "record_id")}
        wanted = self.get_queryset().filter(**{name: value for name, value in sent.items() if value})
        page = self.paginate_queryset(rows(wanted.order_by("-created_at", "-pk"))) or []
        return self.get_paginated_response([shown(row) for row in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.object_id)

    @extend_schema(request=ScheduledChangeCreateSerializer, responses={201: ScheduledChangeSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = self.read_body(ScheduledChangeCreateSerializer)
        change = schedules.schedule(project=self.project, user=self.caller, fields=fields)
        return self._shown(change.pk, status=201)

    @extend_schema(request=ScheduledChangeUpdateSerializer, responses=ScheduledChangeSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object()
        fields = self.read_body(ScheduledChangeUpdateSerializer, partial=True)
        if schedules.reschedule(project=self.project, change_id=self.object_id, fields=fields) is None:
            raise Missing
        return self._shown(self.object_id)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object().delete()
        return Response(status=204)
