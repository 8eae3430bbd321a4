"""Change requests over REST: read, vote, cancel. An approved change applies itself."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from approvals import decisions
from approvals.api import representation, schemas
from approvals.api.mixins import ErrorTwiceMixin, FoundByUuidMixin
from approvals.decisions import Outcome
from approvals.models import ChangeRequest, ChangeRequestState
from common.errors import Invalid
from projects.access import parse_id
from projects.api.base import ProjectViewSet


class ChangeRequestViewSet(ErrorTwiceMixin, FoundByUuidMixin, ProjectViewSet):
    """The change requests of a project."""

    queryset = ChangeRequest.objects.all()
    serializer_class = schemas.ChangeRequestSerializer
    scope_object = "approvals"
    summaries = {
        "approve": "Approve a change; the last approval needed applies it",
        "reject": "Reject a change",
        "cancel": "Withdraw one's own change request",
    }

    def get_queryset(self) -> QuerySet[ChangeRequest]:
        return representation.with_votes(super().get_queryset())

    @extend_schema(parameters=schemas.LIST_PARAMETERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        wanted = self._asked_for(request).order_by("-created_at", "-id")
        page = self.paginate_queryset(wanted) or []
        return self.get_paginated_response(
            representation.change_requests(page, viewer=self.caller, organization_id=self.project.organization_id)
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(representation.change_request(self.get_object(), viewer=self.caller))

    @extend_schema(request=schemas.ReasonRequest, responses=schemas.VoteOutcomeSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()
        decisions.check_vote(found, user=self.caller)
        reason = self.read_body(schemas.ReasonRequest).get("reason") or ""
        return self._decided(found, decisions.approve(found, user=self.caller, reason=reason))

    @extend_schema(request=schemas.RejectionRequest, responses=schemas.VoteOutcomeSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()
        decisions.check_vote(found, user=self.caller)
        reason = self.read_body(schemas.RejectionRequest)["reason"]
        return self._decided(found, decisions.reject(found, user=self.caller, reason=reason))

    @extend_schema(request=schemas.ReasonRequest, responses=schemas.VoteOutcomeSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()
        decisions.check_cancel(found, user=self.caller)
        reason = self.read_body(schemas.ReasonRequest).get("reason") or ""
        return self._decided(found, decisions.cancel(found, user=self.caller, reason=reason))

    def _decided(self, found: ChangeRequest, outcome: Outcome) -> Response:
        shown = representation.change_request(found, viewer=self.caller)
        answer = {"status": outcome.status, "message": outcome.message, "change_request": shown}
        if outcome.status == "applied":
            answer["result"] = shown["result_data"]
        return Response(answer)

    def _asked_for(self, request: Request) -> QuerySet[ChangeRequest]:
        query, found = request.query_params, self.get_queryset()
        states = [state for value in query.getlist("state") for state in value.split(",") if state]
        if states:
            found = found.filter(_in_states(states))
        for name in ("action_key", "resource_type", "resource_id"):
            if query.get(name):
                found = found.filter(**{name: query[name]})
        if query.get("requester"):
            user_id = parse_id(query["requester"])
            if user_id is None:
                raise Invalid("A valid integer is required.", attr="requester")
            found = found.filter(created_by_id=user_id)
        return found


def _in_states(states: list[str]) -> Q:
    """The condition of being in one of these states now; a pending request whose time is over is expired."""
    overdue = Q(state=ChangeRequestState.PENDING, expires_at__lte=timezone.now())
    wanted = Q(pk__in=())
    for state in states:
        if state not in ChangeRequestState.values:
            raise Invalid(f'"{state}" is not a valid choice.', code="invalid_choice", attr="state")
        condition = Q(state=state)
        if state == ChangeRequestState.PENDING:
            condition &= ~overdue
        elif state == ChangeRequestState.EXPIRED:
            condition |= overdue
        wanted |= condition
    return wanted
