"""Organizations, members, roles, projects and keys as clients read them."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Prefetch, QuerySet

from projects.api.user_basic import user_basic
from projects.models import (
    Organization,
    OrganizationMembership,
    PersonalAPIKey,
    Project,
    ProjectSecretAPIKey,
    Role,
    RoleMembership,
    User,
)
from projects.project_settings import SETTINGS

Answer = dict[str, Any]


def organization(found: Organization, *, level: int) -> Answer:
    """An Organization. `level` is the caller's in it."""
    return {
        "id": found.pk,
        "name": found.name,
        "slug": found.slug,
        "logo_media_id": None,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "membership_level": level,
        "members_can_use_personal_api_keys": found.members_can_use_personal_api_keys,
    }


def team(found: Project) -> Answer:
    """The part of a Project that a User shows."""
    return {
        "id": found.pk,
        "uuid": found.uuid,
        "organization": found.organization_id,
        "project_id": found.pk,
        "api_token": found.api_token,
        "name": found.name,
        "timezone": found.timezone,
        "ingested_event": found.ingested_event,
        "is_demo": False,
    }


def project(found: Project, *, secret: str | None = None) -> Answer:
    """A Project. `secret` is its secret token, known only to the act that made it."""
    return {
        **team(found),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "secret_api_token": secret,
        "secret_api_token_mask": found.secret_token_mask,
        "secret_api_token_backup_mask": found.secret_token_backup_mask,
        **{name: getattr(found, name) for name in SETTINGS},
        "experiment_recalculation_time": f"{found.experiment_recalculation_time:%H:%M}",
    }


def user(found: User) -> Answer:
    """A User as they see themselves: who they are, where they work now, where else they may."""
    memberships = list(found.memberships.select_related("organization").order_by("joined_at", "pk"))
    current = next((one for one in memberships if one.organization_id == found.current_organization_id), None)
    working_in = found.current_project
    return {
        "id": found.pk,
        "uuid": found.uuid,
        "distinct_id": found.distinct_id,
        "email": found.email,
        "first_name": found.first_name,
        "last_name": found.last_name,
        "is_staff": found.is_staff,
        "is_email_verified": found.is_email_verified,
        "date_joined": found.date_joined,
        "team": None if working_in is None else team(working_in),
        "organization": None if current is None else organization(current.organization, level=current.level),
        "organizations": [
            {
                "id": one.organization.pk,
                "name": one.organization.name,
                "slug": one.organization.slug,
                "logo_media_id": None,
                "membership_level": one.level,
                "members_can_use_personal_api_keys": one.organization.members_can_use_personal_api_keys,
            }
            for one in memberships
        ],
    }


def member(found: OrganizationMembership) -> Answer:
    """An OrganizationMember, read with its `user`."""
    return {
        "id": found.pk,
        "user": user_basic(found.user),
        "level": found.level,
        "joined_at": found.joined_at,
        "updated_at": found.updated_at,
    }


def role_membership(found: RoleMembership) -> Answer:
    """A RoleMembership, read with its `membership__user`."""
    return {
        "id": found.pk,
        "role_id": found.role_id,
        "organization_member": member(found.membership),
        "user": user_basic(found.membership.user),
        "joined_at": found.joined_at,
        "updated_at": found.updated_at,
    }


def with_members(roles: QuerySet[Role]) -> QuerySet[Role]:
    """Roles with all that `role` reads, in two queries whatever their number."""
    places = RoleMembership.objects.select_related("membership__user").order_by("joined_at", "pk")
    return roles.select_related("created_by").prefetch_related(Prefetch("role_memberships", places))


def role(found: Role) -> Answer:
    """A Role, read through `with_members`."""
    return {
        "id": found.pk,
        "name": found.name,
        "created_at": found.created_at,
        "created_by": user_basic(found.created_by),
        "members": [role_membership(one) for one in found.role_memberships.all()],
        "is_default": False,
    }


def _key(found: PersonalAPIKey | ProjectSecretAPIKey, value: str | None) -> Mapping[str, Any]:
    return {
        "id": found.pk,
        "label": found.label,
        "value": value,
        "mask_value": found.mask_value,
        "created_at": found.created_at,
        "last_used_at": found.last_used_at,
        "last_rolled_at": found.last_rolled_at,
        "scopes": found.scopes,
    }


def personal_key(found: PersonalAPIKey, *, value: str | None = None) -> Answer:
    """A PersonalAPIKey. `value` is the key itself, known only to the act that made it."""
    return {
        **_key(found, value),
        "description": found.description,
        "user_id": found.user_id,
        "scoped_teams": found.scoped_teams,
        "scoped_organizations": found.scoped_organizations,
        "is_legacy_hashing": False,
    }


def secret_key(found: ProjectSecretAPIKey, *, value: str | None = None) -> Answer:
    """A ProjectSecretAPIKey, read with its `created_by`. `value` as for personal keys."""
    return {**_key(found, value), "created_by": user_basic(found.created_by)}
