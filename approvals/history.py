"""What the activity log keeps of change requests: that one was made, each vote, and what became of it."""

from collections.abc import Mapping
from typing import Any

from activity import recorder
from approvals.models import ChangeRequest
from projects.models import User

SCOPE = "ChangeRequest"
FIELDS = ("action_key", "resource_type", "resource_id", "state", "apply_error", "result_data", "approvals")


def snapshot(request: ChangeRequest) -> dict[str, Any]:
    """The fields that the log compares, the votes among them."""
    votes = request.approvals.order_by("created_at", "pk").values_list("created_by_id", "decision", "reason")
    return {name: getattr(request, name) for name in FIELDS if name != "approvals"} | {
        "approvals": [{"user": user, "decision": decision, "reason": reason} for user, decision, reason in votes]
    }


def record(request: ChangeRequest, *, user: User | None, before: Mapping[str, Any] | None) -> None:
    """Write the row of a request just made (no `before`) or changed. `user` None: the service itself, by the clock."""
    recorder.record(
        project=request.project,
        user=user,
        scope=SCOPE,
        item_id=request.pk,
        activity="created" if before is None else "updated",
        name=request.description,
        changes=recorder.changes_between(scope=SCOPE, before=before, after=snapshot(request), fields=FIELDS),
    )
