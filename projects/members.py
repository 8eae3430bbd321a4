"""Members of an organization: levels given and taken. An organization that has an owner keeps one."""

from django.db import transaction

from common.errors import Invalid, Missing
from projects.levels import check_level
from projects.models import Level, Organization, OrganizationMembership, User
from projects.services import settle_current


@transaction.atomic
def change_level(*, membership: OrganizationMembership, level: int, actor_level: int | None) -> OrganizationMembership:
    """Give a member another level. `actor_level` is that of who asks; None is not limited (the admin site).

    Raises Denied when the member's level or the new one is above the actor's, Invalid for the last owner, Missing
    when the membership ended meanwhile.
    """
    locked = _lock(membership)
    if actor_level is not None:
        check_level(actor_level, max(locked.level, level))
    if locked.level == Level.OWNER and level != Level.OWNER:
        _check_other_owner(locked)
    if locked.level != level:
        locked.level = level
        locked.save(update_fields=["level", "updated_at"])
    return locked


@transaction.atomic
def remove_member(*, membership: OrganizationMembership, actor: User | None, actor_level: int | None) -> None:
    """End a membership, and with it the places in roles; who leaves works in another of their organizations from now.

    Anyone may leave; others are removed as `change_level` says.
    """
    locked = _lock(membership)
    if actor_level is not None and locked.user != actor:
        check_level(actor_level, locked.level)
    if locked.level == Level.OWNER:
        _check_other_owner(locked)
    user = locked.user
    locked.delete()
    settle_current([user])


@transaction.atomic
def delete_user(*, user: User) -> None:
    """Delete a user, who is removed from every organization first. Raises Invalid for the last owner of one."""
    for membership in user.memberships.order_by("pk"):
        remove_member(membership=membership, actor=None, actor_level=None)
    user.delete()


@transaction.atomic
def deactivate_user(*, user: User) -> None:
    """Refuse a user's sessions and keys from now on. Raises Invalid for the last active owner of an organization."""
    for membership in user.memberships.filter(level=Level.OWNER).order_by("organization_id"):
        _check_other_owner(_lock(membership))
    user.is_active = False
    user.save(update_fields=["is_active"])


def _lock(membership: OrganizationMembership) -> OrganizationMembership:
    # The organization's row stands for the set of its members: two owners who leave at once do so one by one.
    Organization.objects.select_for_update(of=("self",)).filter(pk=membership.organization_id).first()
    found = OrganizationMembership.objects.select_related("user").filter(pk=membership.pk).first()
    if found is None:
        raise Missing
    return found


def _check_other_owner(membership: OrganizationMembership) -> None:
    # Whoever may not sign in can look after nothing.
    others = OrganizationMembership.objects.filter(
        organization_id=membership.organization_id, level=Level.OWNER, user__is_active=True
    )
    if not others.exclude(pk=membership.pk).exists():
        raise Invalid("An organization must keep at least one owner.")
