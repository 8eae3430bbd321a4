"""Who may vote on a change, and who need not ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from projects.models import OrganizationMembership, RoleMembership, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A member of an organization: the level, and the roles as their UUIDs in text."""

    user_id: int
    level: int
    roles: frozenset[str]


def standing_of(user: User | None, organization_id: UUID) -> Standing | None:
    """The user's standing in the organization; None for nobody, the inactive, and who is no member."""
    if user is None:
        return None
    memberships = OrganizationMembership.objects.filter(organization_id=organization_id, user=user)
    found = memberships.filter(user__is_active=True).values_list("pk", "level").first()
    if found is None:
        return None
    membership_id, level = found
    roles = RoleMembership.objects.filter(membership_id=membership_id).values_list("role_id", flat=True)
    return Standing(user_id=user.pk, level=level, roles=frozenset(str(role) for role in roles))


def is_approver(rights: Mapping[str, Any], standing: Standing | None) -> bool:
    """Whether `rights`, with the lists `users` and `roles`, name this member or one of the member's roles."""
    if standing is None:
        return False
    return standing.user_id in rights["users"] or not standing.roles.isdisjoint(rights["roles"])


def bypasses(*, levels: list[int], roles: list[str], standing: Standing | None) -> bool:
    """Whether a member of these levels and roles may change things without asking."""
    if standing is None:
        return False
    return standing.level in levels or not standing.roles.isdisjoint(roles)
