"""Who may do what: the checks between a known credential and the act, in their documented order."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, OuterRef, Subquery
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common.errors import Denied, Missing
from projects.authentication import PersonalKeyCredential, SecretKeyCredential
from projects.models import Level, Organization, OrganizationMembership, Project, User

SCOPE_OBJECTS = (
    "action",
    "activity_log",
    "approvals",
    "cohort",
    "event_definition",
    "experiment",
    "experiment_holdout",
    "experiment_saved_metric",
    "feature_flag",
    "group",
    "organization",
    "organization_member",
    "person",
    "project",
    "query",
    "user",
)
SCOPES = frozenset(f"{name}:{level}" for name in SCOPE_OBJECTS for level in ("read", "write"))
SECRET_KEY_SCOPES = ("experiment:read", "feature_flag:read")
CURRENT = "@current"


class DenyUndeclared(BasePermission):
    """The default of every REST view: what declares no access rule is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class Accepts(StrEnum):
    """Which credentials an action takes."""

    PERSONAL = "personal"
    SESSION_ONLY = "session"
    PROJECT_SECRET = "project_secret"  # noqa: S105  (a kind, not a secret)


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """A caller's standing in a project. `level` is None for a project secret key."""

    project: Project
    level: int | None


def check_credential(request: Request, *, accepts: Sequence[Accepts]) -> None:
    """Raise unless the request has a credential of a kind that the action takes."""
    if isinstance(request.auth, PersonalKeyCredential):
        if Accepts.PERSONAL not in accepts:
            raise Denied("This action does not support personal API key access")
    elif isinstance(request.auth, SecretKeyCredential):
        if Accepts.PROJECT_SECRET not in accepts or request.auth.key is None:
            raise Denied("This action does not support project secret API key access")
    elif not request.user.is_authenticated:
        raise NotAuthenticated


def has_scope(granted: Sequence[str], wanted: str) -> bool:
    """Whether the scopes of a key include `wanted`; `*` includes all, write includes read."""
    name, _, level = wanted.partition(":")
    return "*" in granted or wanted in granted or (level == "read" and f"{name}:write" in granted)


def check_scope(request: Request, alternatives: Sequence[str]) -> None:
    """Raise unless the key has one of the scopes. Sessions have no scopes."""
    if request.auth is None or not alternatives:
        return
    granted = request.auth.scopes
    if not any(has_scope(granted, wanted) for wanted in alternatives):
        raise Denied(f"API key missing required scope '{alternatives[0]}'")


def _current_project_id(request: Request) -> int | None:
    token = request.query_params.get("token")
    if token:
        found = Project.objects.filter(api_token=token).values_list("pk", flat=True).first()
        if found is None:
            raise AuthenticationFailed("Project token found in request query string is invalid.")
        return found
    if isinstance(request.auth, SecretKeyCredential):
        return request.auth.project_id
    user = request.user
    return user.current_project_id if isinstance(user, User) else None


def parse_id(text: str) -> int | None:
    """A path id as a number that a 64-bit column can hold, else None."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    number = int(text)
    return number if number < 2**63 else None


def _membership_level(user: User | AnonymousUser) -> Subquery:
    # For a project secret key there is no user and so no membership.
    return Subquery(
        OrganizationMembership.objects.filter(organization_id=OuterRef("organization_id"), user_id=user.pk).values(
            "level"
        )[:1]
    )


def enter_project(request: Request, path_id: str) -> ProjectAccess:
    """The project of the path for this caller, in one query.

    Raises Missing (404) when there is none, Denied (403) when the key or the caller may not enter it.
    """
    project_id = _current_project_id(request) if path_id == CURRENT else parse_id(path_id)
    project = (
        None
        if project_id is None
        else Project.objects.select_related("organization")
        .annotate(caller_level=_membership_level(request.user))
        .filter(pk=project_id)
        .first()
    )
    if project is None:
        raise Missing("Project not found.")
    level: int | None = project.caller_level
    if isinstance(request.auth, SecretKeyCredential):
        if request.auth.project_id != project.pk:
            raise Denied("You don't have access to the project.")
        return ProjectAccess(project=project, level=None)
    check_key_restrictions(request, organization=project.organization, project=project, level=level)
    if level is None:
        raise Denied("You don't have access to the project.")
    return ProjectAccess(project=project, level=level)


def check_key_restrictions(
    request: Request, *, organization: Organization, project: Project | None, level: int | None
) -> None:
    """Raise Denied when the personal key is bound to other projects or organizations, or keys are not allowed."""
    if not isinstance(request.auth, PersonalKeyCredential):
        return
    key = request.auth.key
    if key.scoped_teams is not None:
        if project is None:
            raise Denied("API keys with scoped projects are only supported on project-based endpoints.")
        if project.pk not in key.scoped_teams:
            raise Denied(f"API key does not have access to the requested project: ID {project.pk}.")
    if key.scoped_organizations is not None and organization.pk not in key.scoped_organizations:
        raise Denied(f"API key does not have access to the requested organization: ID {organization.pk}.")
    if not organization.members_can_use_personal_api_keys and (level or 0) < Level.ADMIN:
        raise Denied(
            f"Organization '{organization.name}' does not allow using personal API keys. "
            "Contact an admin to enable personal API keys for this organization."
        )


def enter_organization(request: Request, path_id: str) -> tuple[Organization, int]:
    """The organization of the path and the caller's level in it.

    Raises Missing (404) for a malformed id and for an organization the caller is not a member of.
    """
    organization_id: UUID | None
    if path_id == CURRENT:
        organization_id = request.user.current_organization_id if isinstance(request.user, User) else None
    else:
        try:
            organization_id = UUID(path_id)
        except ValueError:
            organization_id = None
    organization = (
        Organization.objects.filter(pk=organization_id, memberships__user_id=request.user.pk)
        .annotate(caller_level=F("memberships__level"))
        .first()
    )
    if organization is None:
        raise Missing
    level: int = organization.caller_level
    check_key_restrictions(request, organization=organization, project=None, level=level)
    return organization, level


def check_level(level: int | None, minimum: int) -> None:
    """Raise Denied when the caller's level is too low."""
    if (level or 0) < minimum:
        raise Denied("Your organization access level is insufficient.")
