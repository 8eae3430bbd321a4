"""Approval policies over REST: those of a project, and those of a whole organization."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import policies
from approvals.api import representation, schemas
from approvals.api.mixins import ErrorTwiceMixin, FoundByUuidMixin
from approvals.models import ApprovalPolicy
from common.api.fields import BooleanField
from common.errors import Invalid
from projects.api.base import OrganizationViewSet, ProjectViewSet, ScopedViewSet
from projects.models import Level, Organization, Project


class PolicyViewSet(ErrorTwiceMixin, FoundByUuidMixin, ScopedViewSet):
    """What both kinds share. Members read, admins write."""

    queryset = ApprovalPolicy.objects.all()
    serializer_class = schemas.ApprovalPolicySerializer
    scope_object = "approvals"
    write_level = Level.ADMIN

    @property
    def owner(self) -> tuple[Organization, Project | None]:
        """Whose policies these are: a project's, or without one the organization's."""
        raise TypeError(f"{type(self).__name__} does not say whose policies it serves")

    def get_queryset(self) -> QuerySet[ApprovalPolicy]:
        organization, project = self.owner
        found = ApprovalPolicy.objects.select_related("created_by", "organization", "project")
        return found.filter(organization=organization, project=project)

    @extend_schema(parameters=schemas.POLICY_LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_queryset().order_by("-created_at", "-id")
        query = request.query_params
        if query.get("action_key"):
            found = found.filter(action_key=query["action_key"])
        if query.get("enabled"):
            found = found.filter(enabled=_boolean(query["enabled"], attr="enabled"))
        page = self.paginate_queryset(found) or []
        return self.get_paginated_response([representation.policy(policy) for policy in page])

    @extend_schema(request=schemas.ApprovalPolicyRequest, responses={201: schemas.ApprovalPolicySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        organization, project = self.owner
        fields = self._fields(partial=False)
        made = policies.create_policy(organization=organization, project=project, user=self.caller, fields=fields)
        return Response(representation.policy(made), status=201)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.policy(self.get_object()))

    @extend_schema(request=schemas.ApprovalPolicyRequest, responses=schemas.ApprovalPolicySerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        policy = self.get_object()
        changes = self._fields(partial=True)
        changed = policies.update_policy(policy=policy, user=self.caller, changes=changes)
        return Response(representation.policy(changed))

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        policies.delete_policy(policy=self.get_object(), user=self.caller)
        return Response(status=204)

    def _fields(self, *, partial: bool) -> Mapping[str, Any]:
        """The fields of the body; users and roles are the organization's."""
        fields = self.read_body(schemas.ApprovalPolicyRequest, partial=partial)
        organization, _ = self.owner
        if "approver_config" in fields:
            fields["approver_config"] = policies.approver_config(organization, **fields["approver_config"])
        if "bypass_roles" in fields:
            fields["bypass_roles"] = policies.bypass_roles(organization, fields["bypass_roles"])
        return fields


def _boolean(text: str, *, attr: str) -> bool:
    try:
        return BooleanField().to_internal_value(text)
    except serializers.ValidationError:
        raise Invalid("Must be a valid boolean.", attr=attr) from None


class ProjectPolicyViewSet(PolicyViewSet, ProjectViewSet):
    """The policies of a project."""

    @property
    def owner(self) -> tuple[Organization, Project | None]:
        return self.project.organization, self.project


class OrganizationPolicyViewSet(PolicyViewSet, OrganizationViewSet):
    """The policies that hold in every project of an organization that has none of its own for the key."""

    @property
    def owner(self) -> tuple[Organization, Project | None]:
        return self.organization, None
