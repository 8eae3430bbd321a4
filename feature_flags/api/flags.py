"""Feature flags over REST."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from activity.api.pages import ITEM_ACTIVITY_PARAMETERS, item_activity
from activity.api.serializers import ItemActivitySerializer
from activity.queries import of_items, of_scope
from approvals.api.mixins import ApprovalHandlingMixin
from feature_flags import dependents, history, services
from feature_flags.api import representation
from feature_flags.api.feeds import FlagFeeds
from feature_flags.api.filters import filtered
from feature_flags.api.inspection import FlagInspection
from feature_flags.api.list_parameters import LIST_PARAMETERS
from feature_flags.api.serializers import (
    FeatureFlagSerializer,
    FlagCreateSerializer,
    FlagKeySerializer,
    FlagKeysRequestSerializer,
    FlagKeysSerializer,
    FlagStatusSerializer,
    FlagUpdateSerializer,
)
from feature_flags.bulk_keys import keys_of
from feature_flags.models import FeatureFlag
from projects.api.base import DeleteByPatch


class FeatureFlagViewSet(ApprovalHandlingMixin, DeleteByPatch, FlagFeeds, FlagInspection):
    """Flags of a project. Soft-deleted ones are missing in lists and reached by their id, so that they can return."""

    queryset = FeatureFlag.objects.all()
    serializer_class = FeatureFlagSerializer
    scope_object = "feature_flag"
    lookup_value_regex = "[^/]+"
    action_accepts = FlagFeeds.feed_accepts
    action_scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "bulk_keys": ("feature_flag:read",),
        "user_blast_radius": ("feature_flag:read",),
        "test_evaluation": ("feature_flag:read",),
        "activity": ("activity_log:read",),
        "all_activity": ("activity_log:read",),
    }
    gated_actions = ("create", "partial_update", "enable", "disable", "archive")
    action_refusals = {"partial_update": (409,), "user_blast_radius": (504,)}
    summaries = {
        "enable": "Switch a feature flag on",
        "disable": "Switch a feature flag off",
        "archive": "Archive a feature flag and switch it off",
        "unarchive": "Take a feature flag out of the archive; it stays switched off",
        "dependent_flags": "List the active feature flags with a condition on this one",
        "activity": "List the changes of a feature flag",
        "all_activity": "List the changes of all feature flags",
        "status": "Tell whether a feature flag is in use",
        "my_flags": "List what the active feature flags answer for the caller",
        "evaluation_reasons": "Tell what feature flags answer for somebody, and why",
        "user_blast_radius": "Count whom a condition set would reach",
        "test_evaluation": "Evaluate a feature flag for somebody step by step, without a trace",
        "local_evaluation": "Get all definitions, for servers that evaluate flags themselves",
        "remote_config": "Get the payload of a remote configuration",
        "bulk_keys": "Find the keys of feature flags by their ids",
    }

    def _shown(self, flag_id: int, *, status: int = 200) -> Response:
        answer = representation.one(
            project=self.project,
            flag_id=flag_id,
            user_access_level=self.user_access_level,
            in_clear=self._reads_in_clear,
        )
        return Response(answer, status=status)

    @extend_schema(parameters=LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        selected = representation.rows(filtered(self.get_queryset(), request.query_params))
        page = self.paginate_queryset(selected) or []
        return self.get_paginated_response(
            representation.from_rows(page, user_access_level=self.user_access_level, in_clear=self._reads_in_clear)
        )

    @extend_schema(request=FlagCreateSerializer, responses={201: FeatureFlagSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = FlagCreateSerializer(data=self.check_body())
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        folder = fields.pop("_create_in_folder", None)
        flag = services.create_flag(project=self.project, user=self.caller, folder=folder, **fields)
        return self._shown(flag.pk, status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._shown(self.object_id)

    @extend_schema(request=FlagUpdateSerializer, responses=FeatureFlagSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.get_object()
        serializer = FlagUpdateSerializer(data=self.check_body(), partial=True)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        version, original = fields.pop("version", None), fields.pop("original_flag", None)
        services.edit_flag(
            project=self.project,
            flag_id=self.object_id,
            user=self.caller,
            changes=fields,
            version=version,
            original=original,
        )
        return self._shown(self.object_id)

    def _act(self, act: str) -> Response:
        services.act_on_flag(project=self.project, flag_id=self.object_id, user=self.caller, act=act)
        return self._shown(self.object_id)

    @extend_schema(request=None, responses=FeatureFlagSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("enable")

    @extend_schema(request=None, responses=FeatureFlagSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("disable")

    @extend_schema(request=None, responses=FeatureFlagSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("archive")

    @extend_schema(request=None, responses=FeatureFlagSerializer)
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._act("unarchive")

    @extend_schema(responses=FlagKeySerializer(many=True))
    @action(detail=True, methods=["get"])
    def dependent_flags(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        flag = cast(FeatureFlag, self.get_object())
        return Response(dependents.dependent_flags(flag))

    @extend_schema(parameters=ITEM_ACTIVITY_PARAMETERS, responses=ItemActivitySerializer)
    @action(detail=True, methods=["get"])
    def activity(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        flag = self.get_object()
        return Response(item_activity(request, of_items(project=self.project, items=[(history.SCOPE, flag.pk)])))

    @extend_schema(
        operation_id="feature_flags_all_activity_retrieve",
        parameters=ITEM_ACTIVITY_PARAMETERS,
        responses=ItemActivitySerializer,
    )
    @action(detail=False, methods=["get"], url_path="activity")
    def all_activity(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(item_activity(request, of_scope(project=self.project, scope=history.SCOPE)))

    @extend_schema(responses=FlagStatusSerializer)
    @action(detail=True, methods=["get"])
    def status(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.status_of(representation.row_of(project=self.project, flag_id=self.object_id)))

    @extend_schema(
        operation_id="feature_flags_bulk_keys_retrieve", request=FlagKeysRequestSerializer, responses=FlagKeysSerializer
    )
    @action(detail=False, methods=["post"])
    def bulk_keys(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = FlagKeysRequestSerializer(data=self.check_body())
        serializer.is_valid(raise_exception=True)
        return Response(keys_of(project=self.project, ids=serializer.validated_data.get("ids", [])))
