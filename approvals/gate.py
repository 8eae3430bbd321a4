"""The gate in front of what users see. Every write that may change it asks here, inside its own transaction.

@approval_gate
def switch_on(...):
    ...                       # locks, rules, the change itself
    gate.require(...)         # raises: nothing of the change remains
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from activity.recorder import Trigger
from approvals import conditions, policies
from approvals.approvers import bypasses, standing_of
from approvals.conditions import Observed
from approvals.families import Family
from approvals.models import ApprovalPolicy
from common.errors import Conflict, Invalid
from projects.models import Project, User

CREATED = "A change request has been created and is pending approval."

Write = TypeVar("Write", bound=Callable[..., Any])

# The names of all functions that `approval_gate` marks.
GATED_WRITES: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """In place of a question: the change was approved, or it is part of one for which the gate is asked.

    `trigger` is what the activity log is to say of an approved change.
    """

    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change as it is put before approvers and, once approved, before the registered act.

    `subject` is the id of the resource, or what tells a creation from others; `resource_id` is None for a creation.
    """

    act: str
    resource_type: str
    resource_id: str | None
    subject: str
    intent: Mapping[str, Any]
    intent_display: Mapping[str, Any]
    payload: Mapping[str, Any]


class ApprovalRequired(Conflict):
    """The change needs approval. Nothing of it may remain; `approvals.requests.file` makes it a change request.

    File it when the transaction of the change has been rolled back: `ApprovalHandlingMixin` does for REST.
    """

    def __init__(
        self, *, project: Project, user: User | None, family: Family, policy: ApprovalPolicy, proposal: Proposal
    ) -> None:
        super().__init__(CREATED, code="approval_required")
        self.project = project
        self.user = user
        self.family = family
        self.policy = policy
        self.proposal = proposal


class PolicyConflict(Invalid):
    """The change falls under several policies at once and must be sent in parts."""

    def __init__(self, deciding: Collection[ApprovalPolicy]) -> None:
        detail = "This change requires approval under multiple policies"
        super().__init__(
            detail,
            code="policy_conflict",
            extra={
                "error": detail,
                "conflicting_policies": [
                    {"id": str(policy.pk), "name": policy.action_key, "action_key": policy.action_key}
                    for policy in deciding
                ],
                "guidance": "Split your changes into separate API calls to address each policy independently",
            },
        )


def require(
    *,
    project: Project,
    user: User | None,
    families: Collection[Family],
    before: Observed,
    after: Observed,
    on_experiment: Callable[[], bool],
    propose: Callable[[Family], Proposal],
) -> None:
    """Raise unless this validated change may be made without approval.

    `families` are those it trips; `on_experiment` tells whether policies about experiments count; `propose` is called
    when a request must be made. Raises ApprovalRequired, or PolicyConflict when more than one family needs approval.
    """
    if not families:
        return
    deciding = policies.deciding(project, families, on_experiment=on_experiment)
    if not deciding:
        return
    standing = standing_of(user, project.organization_id)
    left = {
        family: policy
        for family, policy in deciding.items()
        if conditions.met(policy.conditions, before, after)
        and not bypasses(levels=policy.bypass_org_membership_levels, roles=policy.bypass_roles, standing=standing)
    }
    if len(left) > 1:
        raise PolicyConflict(left.values())
    for family, policy in left.items():
        raise ApprovalRequired(project=project, user=user, family=family, policy=policy, proposal=propose(family))


def approval_gate(write: Write) -> Write:
    """Marks a write that asks the gate, or hands on to one that does.

    It is made in one transaction, its own or its caller's: nothing of it remains when the gate fires.
    """
    GATED_WRITES.add(f"{write.__module__}.{write.__qualname__}")
    return write
