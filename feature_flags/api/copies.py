"""Copying a flag into other projects of an organization."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import requests
from approvals.gate import ApprovalRequired
from common.api.fields import BooleanField
from common.errors import DomainError, Invalid
from feature_flags.api import representation
from feature_flags.api.serializers import FeatureFlagSerializer
from feature_flags.copying import copy_flag
from feature_flags.models import FeatureFlag
from projects.api.base import OrganizationViewSet
from projects.authentication import PersonalKeyCredential
from projects.models import Project

MAX_TARGETS = 50
_REQUIRED = ("feature_flag_key", "from_project", "target_project_ids")


class CopyFlagsRequestSerializer(serializers.Serializer[Any]):
    feature_flag_key = serializers.CharField()
    from_project = serializers.IntegerField(min_value=0, max_value=2**63 - 1)
    target_project_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**63 - 1), min_length=1, max_length=MAX_TARGETS
    )
    copy_schedule = BooleanField(required=False)
    disable_copied_flag = BooleanField(required=False)


class FailedCopySerializer(serializers.Serializer[Any]):
    project_id = serializers.IntegerField()
    error_message = serializers.CharField()


class CopyFlagsSerializer(serializers.Serializer[Any]):
    success = FeatureFlagSerializer(many=True)
    failed = FailedCopySerializer(many=True)


def _refusal(detail: str) -> Invalid:
    return Invalid(detail, extra={"error": detail})


class OrganizationFlagViewSet(OrganizationViewSet):
    """What concerns flags of several projects."""

    queryset = FeatureFlag.objects.all()
    serializer_class = FeatureFlagSerializer
    scope_object = "feature_flag"
    summaries = {"copy_flags": "Copy a feature flag into other projects"}

    def get_queryset(self) -> QuerySet[FeatureFlag]:
        return FeatureFlag.objects.filter(project__organization=self.organization, deleted=False)

    @extend_schema(
        operation_id="feature_flags_copy_flags_create",
        request=CopyFlagsRequestSerializer,
        responses=CopyFlagsSerializer,
    )
    @action(detail=False, methods=["post"])
    def copy_flags(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = self.check_body()
        if not all(body.get(name) for name in _REQUIRED):
            raise _refusal("Missing required fields")
        sent = self.read_body(CopyFlagsRequestSerializer)
        flags = self.get_queryset().filter(project_id=sent["from_project"], key=sent["feature_flag_key"])
        flag = flags.select_related("project").first()
        if flag is None:
            raise _refusal("Feature flag to copy does not exist.")
        targets = Project.objects.filter(organization=self.organization).in_bulk(sent["target_project_ids"])
        copies: list[Any] = []
        failed: list[dict[str, Any]] = []
        for project_id in dict.fromkeys(sent["target_project_ids"]):
            target = targets.get(project_id)
            if target is None:
                failed.append({"project_id": project_id, "error_message": "Project not found."})
                continue
            try:
                copy = copy_flag(
                    flag=flag,
                    target=target,
                    user=self.caller,
                    copy_schedule=sent.get("copy_schedule", False),
                    disabled=sent.get("disable_copied_flag", False),
                )
            except DomainError as error:
                if isinstance(error, ApprovalRequired):
                    requests.file(error)
                failed.append({"project_id": project_id, "error_message": error.detail})
            else:
                copies.append(self._shown(target, copy.pk))
        return Response({"success": copies, "failed": failed})

    def _shown(self, project: Project, flag_id: int) -> Any:
        in_clear = isinstance(self.request.auth, PersonalKeyCredential)
        return representation.one(project=project, flag_id=flag_id, user_access_level="editor", in_clear=in_clear)
