"""Personal API keys: made, narrowed, rolled. A value is returned once, by the function that makes it."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from common.errors import Invalid
from projects.keys import hash_key, mask_key, new_personal_key
from projects.locking import locked
from projects.models import OrganizationMembership, PersonalAPIKey, Project, User
from projects.scopes import ALL, SCOPES

LIMIT = 10


def check_scopes(scopes: Iterable[str]) -> None:
    """Raise Invalid for the first scope that does not exist."""
    for scope in scopes:
        if scope != ALL and scope not in SCOPES:
            raise Invalid(f"Invalid scope: {scope}", attr="scopes")


def check_restrictions(
    *, user: User, scoped_teams: Sequence[int] | None, scoped_organizations: Sequence[UUID] | None
) -> None:
    """Raise Invalid when a key would be bound to a project or organization that its user is no member of."""
    if scoped_teams:
        possible = [project_id for project_id in scoped_teams if 0 < project_id < 2**63]  # what the column can hold
        reachable = Project.objects.filter(pk__in=possible, organization__memberships__user=user).count()
        if reachable != len(set(scoped_teams)):
            raise Invalid("You must be a member of all teams that you are scoping the key to.", attr="scoped_teams")
    if scoped_organizations:
        joined = OrganizationMembership.objects.filter(user=user, organization__in=scoped_organizations).count()
        if joined != len(set(scoped_organizations)):
            raise Invalid(
                "You must be a member of all organizations that you are scoping the key to.",
                attr="scoped_organizations",
            )


def create_personal_api_key(
    *,
    user: User,
    label: str,
    scopes: Sequence[str],
    description: str = "",
    scoped_teams: Sequence[int] | None = None,
    scoped_organizations: Sequence[UUID] | None = None,
) -> tuple[PersonalAPIKey, str]:
    """A new key and its value, which is kept nowhere. No or empty restrictions: the key reaches what its user reaches.

    Raises Invalid for an unknown scope or a restriction to what the user is no member of.
    """
    check_scopes(scopes)
    check_restrictions(user=user, scoped_teams=scoped_teams, scoped_organizations=scoped_organizations)
    value = new_personal_key()
    key = PersonalAPIKey.objects.create(
        id=get_random_string(22),
        user=user,
        label=label,
        description=description,
        value_hash=hash_key(value),
        mask_value=mask_key(value),
        scopes=list(scopes),
        scoped_teams=list(scoped_teams) if scoped_teams else None,
        scoped_organizations=list(scoped_organizations) if scoped_organizations else None,
    )
    return key, value


@transaction.atomic
def create_own_key(*, user: User, **fields: Any) -> tuple[PersonalAPIKey, str]:
    """`create_personal_api_key` for a user who has fewer than ten; raises Invalid otherwise."""
    locked(user)  # two creations at once cannot both be the tenth
    if PersonalAPIKey.objects.filter(user=user).count() >= LIMIT:
        raise Invalid(f"You can only have {LIMIT} personal API keys. Remove an existing key before creating a new one.")
    return create_personal_api_key(user=user, **fields)


@transaction.atomic
def update_personal_api_key(*, key: PersonalAPIKey, changes: dict[str, Any]) -> PersonalAPIKey:
    """Change label, description, scopes or restrictions; the same rules as at creation."""
    check_scopes(changes.get("scopes", ()))
    check_restrictions(
        user=key.user,
        scoped_teams=changes.get("scoped_teams"),
        scoped_organizations=changes.get("scoped_organizations"),
    )
    key = locked(key)
    for name, value in changes.items():
        setattr(key, name, value or None if name.startswith("scoped_") else value)
    key.save(update_fields=list(changes))
    return key


@transaction.atomic
def roll_personal_api_key(*, key: PersonalAPIKey) -> tuple[PersonalAPIKey, str]:
    """Give the key a new value, which is returned with it; the old one stops at once."""
    key = locked(key)
    value = new_personal_key()
    key.value_hash, key.mask_value, key.last_rolled_at = hash_key(value), mask_key(value), timezone.now()
    key.save(update_fields=["value_hash", "mask_value", "last_rolled_at"])
    return key, value
