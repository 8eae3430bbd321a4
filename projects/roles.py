"""Roles: named sets of members of an organization, for approvals."""

from uuid import UUID

from django.db import IntegrityError, transaction

from common.errors import Invalid
from projects.locking import locked
from projects.models import Organization, OrganizationMembership, Role, RoleMembership, User


def _save(role: Role, fields: list[str] | None = None) -> Role:
    try:
        with transaction.atomic():
            role.save(update_fields=fields)
    except IntegrityError as error:
        if "role_name_unique" in str(error):
            raise Invalid("There is already a role with this name.", code="unique", attr="name") from None
        raise
    return role


def create_role(*, organization: Organization, name: str, user: User | None) -> Role:
    """A new role without members. Raises Invalid when one has the name, in whatever case."""
    return _save(Role(organization=organization, name=name, created_by=user))


@transaction.atomic
def rename_role(*, role: Role, name: str) -> Role:
    """Give a role another name; the same rule as at creation."""
    current = locked(role)
    current.name = name
    return _save(current, ["name"])


@transaction.atomic
def add_to_role(*, role: Role, user_uuid: UUID) -> RoleMembership:
    """Give a member of the role's organization a place in it. Raises Invalid for nobody and for who is in already."""
    locked(role)
    members = OrganizationMembership.objects.select_related("user").select_for_update(of=("self",))
    membership = members.filter(organization_id=role.organization_id, user__uuid=user_uuid).first()
    if membership is None:
        raise Invalid("User does not exist.", attr="user_uuid")
    try:
        with transaction.atomic():
            return RoleMembership.objects.create(role=role, membership=membership)
    except IntegrityError as error:
        if "one_place_per_role" in str(error):
            raise Invalid("User is already part of the role.") from None
        raise
