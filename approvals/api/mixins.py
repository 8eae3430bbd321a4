"""What views of this app and of the gated writes have in common."""

from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from approvals.api import representation
from approvals.api.schemas import ApprovalRequiredSerializer, ChangeRequestPendingSerializer
from approvals.gate import ApprovalRequired
from approvals.requests import file
from common.api.openapi_errors import ConflictSerializer
from common.errors import Missing
from projects.access import parse_uuid
from projects.models import User

Kinds = dict[str, type[serializers.Serializer[Any]] | serializers.Serializer[Any]]

HELD_BACK: Kinds = {
    "approval_required": ApprovalRequiredSerializer,
    "change_request_pending": ChangeRequestPendingSerializer,
}


class ApprovalHandlingMixin(GenericViewSet[Any]):
    """Turns a change that the gate holds back into a change request and the answer that says so.

    A view declares its `gated_actions`. By then the transaction of the change has been rolled back, so that the
    request is all that is stored.
    """

    gated_actions: ClassVar[Sequence[str]] = ()

    def handle_exception(self, exc: Exception) -> Response:
        if not isinstance(exc, ApprovalRequired):
            return super().handle_exception(exc)
        filed = file(exc)
        response = Response(representation.held_back(filed, viewer=_user(self.request.user)), status=409)
        response.exception = True
        return response

    def conflict_body(self, action: str, *, edits_conflict: bool) -> Any:
        """For the OpenAPI document: the bodies of an action's 409, None where the gate is not asked."""
        if action not in self.gated_actions:
            return None
        if edits_conflict:
            return PolymorphicProxySerializer(
                "FlagWriteConflict", {**HELD_BACK, "conflict": ConflictSerializer}, "code"
            )
        return PolymorphicProxySerializer("WriteHeldBack", HELD_BACK, "code")


def _user(user: Any) -> User | None:
    return user if isinstance(user, User) else None


class FoundByUuidMixin(GenericViewSet[Any]):
    """The object of the path is found by its UUID; what is no UUID is missing like any unknown one."""

    lookup_url_kwarg = "id"
    lookup_value_regex = "[^/]+"

    def get_object(self) -> Any:
        key = parse_uuid(self.kwargs["id"])
        found = None if key is None else self.get_queryset().filter(pk=key).first()
        if found is None:
            raise Missing
        return found


class ErrorTwiceMixin(GenericViewSet[Any]):
    """Every error of these views says its `detail` under `error` as well."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(response.data, dict) and "detail" in response.data:
            response.data = {**response.data, "error": response.data["detail"]}
        return response
