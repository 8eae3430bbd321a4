"""Holdouts over REST."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.mixins import ApprovalHandlingMixin
from common.api.serializers import ParsedField, RequestSerializer
from common.documents import as_text, fragment
from common.errors import Missing
from experiments import holdouts
from experiments.api import schemas
from experiments.api.document_schemas import HoldoutFilterWriteSerializer
from experiments.models import ExperimentHoldout
from projects.api.base import ProjectViewSet
from projects.api.user_basic import user_basic_columns, user_basic_of_row

_PLAIN = ("id", "name", "description", "created_at", "updated_at")


@extend_schema_serializer(component_name="ExperimentHoldoutWrite")
class HoldoutRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    filters = ParsedField(
        holdouts.parse_filters,
        described_by=serializers.ListField(
            child=HoldoutFilterWriteSerializer(),
            allow_empty=False,
            help_text="The first one says what share is held out.",
        ),
    )


def rows(queryset: QuerySet[ExperimentHoldout]) -> QuerySet[ExperimentHoldout, dict[str, Any]]:
    """`queryset` selecting, in its order, what `shown` reads."""
    columns = {"text_filters": as_text("filters"), **user_basic_columns("created_by")}
    selected: QuerySet[ExperimentHoldout, dict[str, Any]] = queryset.annotate(**columns).values(*_PLAIN, *columns)
    return selected


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The holdout as clients read it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "filters": fragment(row["text_filters"]),
        "created_by": user_basic_of_row(row, "created_by"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


class ExperimentHoldoutViewSet(ApprovalHandlingMixin, ProjectViewSet):
    """The holdouts of a project."""

    queryset = ExperimentHoldout.objects.all()
    serializer_class = schemas.ExperimentHoldoutSerializer
    gated_actions = ("partial_update", "destroy")
    scope_object = "experiment_holdout"
    alternative_scope_objects = ("experiment",)

    def _shown(self, holdout_id: int, *, status: int = 200) -> Response:
        row = rows(self.get_queryset().filter(pk=holdout_id)).first()
        if row is None:
            raise Missing
        return Response(shown(row), status=status)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(rows(self.get_queryset().order_by("-created_at", "-id"))) or []
        return self.get_paginated_response([shown(row) for row in page])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.object_id)

    @extend_schema(request=HoldoutRequest, responses={201: schemas.ExperimentHoldoutSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        fields = HoldoutRequest(data=self.check_body()).read()
        holdout = holdouts.create_holdout(project=self.project, user=self.caller, fields=fields)
        return self._shown(holdout.pk, status=201)

    @extend_schema(request=HoldoutRequest, responses=schemas.ExperimentHoldoutSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            holdout = holdouts.lock_holdout(project=self.project, holdout_id=self.object_id)
            changes = HoldoutRequest(data=self.check_body(), partial=True).read()
            holdouts.update_holdout(holdout, user=self.caller, changes=changes)
        return self._shown(holdout.pk)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            holdout = holdouts.lock_holdout(project=self.project, holdout_id=self.object_id)
            holdouts.delete_holdout(holdout, user=self.caller)
        return Response(status=204)
