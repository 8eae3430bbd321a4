"""Policies: which one decides, and how they are written."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.duration import duration_string

from activity import recorder
from approvals.families import POLICY_KEYS, Family, is_for_experiments
from approvals.models import ApprovalPolicy
from common.errors import Invalid, Missing
from projects.access import parse_uuid
from projects.models import Organization, Project, Role, User

SCOPE = "ApprovalPolicy"
FIELDS = (
    "action_key",
    "conditions",
    "approver_config",
    "allow_self_approve",
    "enabled",
    "bypass_org_membership_levels",
    "bypass_roles",
    "expires_after",
)


def deciding(
    project: Project, families: Collection[Family], *, on_experiment: Callable[[], bool]
) -> dict[Family, ApprovalPolicy]:
    """The policy that decides for each family in this project; families without one are missing. One query.

    Key by key in their order, the project's policy before the organization's, the first enabled one.
    """
    keys = {key for family in families for key in POLICY_KEYS[family]}
    rows = ApprovalPolicy.objects.filter(
        Q(project=project) | Q(project__isnull=True),
        organization_id=project.organization_id,
        enabled=True,
        action_key__in=keys,
    )
    by_key: dict[str, ApprovalPolicy] = {}
    for policy in rows:
        if policy.project_id is not None or policy.action_key not in by_key:
            by_key[policy.action_key] = policy
    if any(is_for_experiments(key) for key in by_key) and not on_experiment():
        by_key = {key: policy for key, policy in by_key.items() if not is_for_experiments(key)}
    found = {}
    for family in families:
        key = next((key for key in POLICY_KEYS[family] if key in by_key), None)
        if key is not None:
            found[family] = by_key[key]
    return found


def approver_config(organization: Organization, *, quorum: int, users: list[int], roles: list[str]) -> dict[str, Any]:
    """The approvers as they are stored. Raises Invalid for a quorum below 1 and for who is not in the organization."""
    attr = "approver_config"
    if quorum < 1:
        raise Invalid("Quorum must be at least 1", attr=attr)
    wanted = list(dict.fromkeys(users))
    possible = [user_id for user_id in wanted if 0 < user_id < 2**63]
    known = set(
        User.objects.filter(pk__in=possible, memberships__organization=organization).values_list("pk", flat=True)
    )
    unknown = [user_id for user_id in wanted if user_id not in known]
    if unknown:
        raise Invalid(f"Users do not exist: {_listed(unknown)}", attr=attr)
    found, _ = _roles(organization, roles, attr=attr)
    return {"quorum": quorum, "users": wanted, "roles": found}


def bypass_roles(organization: Organization, roles: list[str]) -> list[str]:
    """The roles as they are stored. Raises Invalid for unknown ones and for those of other organizations."""
    attr = "bypass_roles"
    found, foreign = _roles(organization, roles, attr=attr, foreign_too=True)
    if foreign:
        raise Invalid(f"Roles must belong to the same organization: {_listed(foreign)}", attr=attr)
    return found


def _roles(
    organization: Organization, sent: list[str], *, attr: str, foreign_too: bool = False
) -> tuple[list[str], list[str]]:
    """The ids of the sent roles, and the names of those of other organizations. Raises Invalid for unknown ones."""
    ids: dict[str, UUID | None] = {text: parse_uuid(text) for text in sent}
    known: dict[UUID, Role] = Role.objects.in_bulk([role_id for role_id in ids.values() if role_id is not None])
    if not foreign_too:
        known = {role_id: role for role_id, role in known.items() if role.organization_id == organization.pk}
    unknown = [text for text, role_id in ids.items() if role_id is None or role_id not in known]
    if unknown:
        raise Invalid(f"Roles do not exist: {_listed(unknown)}", attr=attr)
    foreign = [role.name for role in known.values() if role.organization_id != organization.pk]
    return list(dict.fromkeys(str(role_id) for role_id in ids.values())), foreign


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


@transaction.atomic
def create_policy(
    *, organization: Organization, project: Project | None, user: User | None, fields: Mapping[str, Any]
) -> ApprovalPolicy:
    """A new policy of a project, or of the whole organization. Raises Invalid when there is one for the key."""
    policy = ApprovalPolicy(organization=organization, project=project, created_by=user, **fields)
    _save(policy)
    _record(policy, user=user, activity="created", before=None, after=snapshot(policy))
    return policy


@transaction.atomic
def update_policy(*, policy: ApprovalPolicy, user: User | None, changes: Mapping[str, Any]) -> ApprovalPolicy:
    """Change a policy; requests made before keep the policy they were made under. Equal values change nothing.

    Raises Invalid when another policy has the new key.
    """
    rows = ApprovalPolicy.objects.select_for_update(of=("self",)).select_related("project", "organization")
    locked = rows.filter(pk=policy.pk).first()
    if locked is None:  # deleted since it was looked up
        raise Missing
    before = snapshot(locked)
    for name, value in changes.items():
        setattr(locked, name, value)
    after = snapshot(locked)
    if recorder.changes_between(scope=SCOPE, before=before, after=after, fields=FIELDS):
        _save(locked, [*changes, "updated_at"])
        _record(locked, user=user, activity="updated", before=before, after=after)
    return locked


@transaction.atomic
def delete_policy(*, policy: ApprovalPolicy, user: User | None) -> None:
    """Delete a policy; requests made under it stay."""
    _record(policy, user=user, activity="deleted", before=snapshot(policy), after=None)
    policy.delete()


def snapshot(policy: ApprovalPolicy) -> dict[str, Any]:
    """The fields of a policy as the activity log keeps them."""
    fields = {name: getattr(policy, name) for name in FIELDS}
    return fields | {"expires_after": duration_string(policy.expires_after)}


def _save(policy: ApprovalPolicy, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            policy.save(update_fields=fields)
    except IntegrityError as error:
        if "one_policy_per_key" in str(error):
            raise Invalid(
                "A policy for this action already exists. You can edit the existing policy instead.",
                attr="action_key",
            ) from None
        raise


def _record(
    policy: ApprovalPolicy,
    *,
    user: User | None,
    activity: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    recorder.record(
        project=policy.project,
        organization=policy.organization,
        user=user,
        scope=SCOPE,
        item_id=policy.pk,
        activity=activity,
        name=policy.action_key,
        changes=recorder.changes_between(scope=SCOPE, before=before, after=after, fields=FIELDS),
    )
