"""Who may do what: the checks between a known credential and the act, in their documented order."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common.compiled import CompiledLookup, Slot
from common.errors import Denied, Missing
from projects.authentication import Credential, PersonalKeyCredential, SecretKeyCredential
from projects.models import Level, Organization, OrganizationMembership, Project, User
from projects.scopes import has_scope
from projects.sign_in import is_recent

CURRENT = "@current"
_ONLY_PROJECT_PATHS = "API keys with scoped projects are only supported on project-based endpoints."


class DenyUndeclared(BasePermission):
    """The default of every REST view: what declares no access rule is closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class Accepts(StrEnum):
    """Which credentials an action takes."""

    PERSONAL = "personal"
    SESSION_ONLY = "session"
    PROJECT_SECRET = "project_secret"  # noqa: S105  (a kind, not a secret)
    SECRET_TOKEN = "secret_token"  # noqa: S105  (the project's one secret token: no scopes)


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """A caller's standing in a project. `level` is None for a project secret key."""

    project: Project
    level: int | None


def credential_of(request: Request) -> Credential | None:
    """The key of the request; None for a session and for nobody."""
    found = request.auth
    return found if isinstance(found, PersonalKeyCredential | SecretKeyCredential) else None


def check_authenticated(request: Request) -> None:
    """Raise NotAuthenticated (401) for a request without any credential."""
    if credential_of(request) is None and not request.user.is_authenticated:
        raise NotAuthenticated


def check_credential(request: Request, *, accepts: Sequence[Accepts]) -> None:
    """Raise Denied for a key of a kind that the action does not take. Sessions are always taken."""
    credential = credential_of(request)
    if credential is None:
        return
    if isinstance(credential, PersonalKeyCredential):
        if Accepts.PERSONAL not in accepts:
            raise Denied("This action does not support personal API key access")
    elif (Accepts.SECRET_TOKEN if credential.key is None else Accepts.PROJECT_SECRET) not in accepts:
        raise Denied("This action does not support project secret API key access")


def check_scope(request: Request, alternatives: Sequence[str]) -> None:
    """Raise unless the key has one of the scopes. Sessions and project secret tokens have no scopes."""
    credential = credential_of(request)
    if credential is None or not alternatives:
        return
    if isinstance(credential, SecretKeyCredential) and credential.key is None:
        return
    if not any(has_scope(credential.scopes, wanted) for wanted in alternatives):
        raise Denied(f"API key missing required scope '{alternatives[0]}'")


def check_query_token(request: Request, path_id: str) -> None:
    """Raise AuthenticationFailed (401) when the query is to pick the project by a token that no project has."""
    if path_id != CURRENT:
        return
    token = request.query_params.get("token")
    if token and _project_of_token(token) is None:
        raise AuthenticationFailed("Project token found in request query string is invalid.")


def _project_of_token(token: str) -> int | None:
    if "\x00" in token:
        return None
    return Project.objects.filter(api_token=token).values_list("pk", flat=True).first()


def _current_project_id(request: Request) -> int | None:
    token = request.query_params.get("token")
    if token:
        return _project_of_token(token)
    credential = credential_of(request)
    if isinstance(credential, SecretKeyCredential):
        return credential.project_id
    user = request.user
    return user.current_project_id if isinstance(user, User) else None


def parse_id(text: str) -> int | None:
    """A path id as a number that a 64-bit column can hold, else None."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    number = int(text)
    return number if number < 2**63 else None


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its usual spelling, with or without hyphens, else None."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if text.lower() in (str(parsed), parsed.hex) else None


def _projects_with_level() -> QuerySet[Project]:
    # For a project secret key there is no user (0 is nobody's id) and so no membership.
    memberships = OrganizationMembership.objects.filter(
        organization_id=OuterRef("organization_id"), user_id=Slot(BigIntegerField())
    )
    return (
        Project.objects.select_related("organization")
        .annotate(caller_level=Subquery(memberships.values("level")[:1]))
        .filter(pk=Slot(BigIntegerField()))
    )


_PROJECT = CompiledLookup(_projects_with_level)


def _project_with_level(request: Request, project_id: int | None) -> tuple[Project | None, int | None]:
    """The project with its organization, and the caller's level in it, None for no member. One query."""
    found = None if project_id is None else _PROJECT.first(request.user.pk or 0, project_id)
    return found, getattr(found, "caller_level", None)


def enter_project(request: Request, path_id: str) -> ProjectAccess:
    """The project of the path for this caller, in one query.

    Raises Missing (404) when there is none, Denied (403) when the key or the caller may not enter it.
    """
    project_id = _current_project_id(request) if path_id == CURRENT else parse_id(path_id)
    project, level = _project_with_level(request, project_id)
    if project is None:
        raise Missing("Project not found.")
    credential = credential_of(request)
    if isinstance(credential, SecretKeyCredential):
        if credential.project_id != project.pk:
            raise Denied("You don't have access to the project.")
        return ProjectAccess(project=project, level=None)
    check_key_restrictions(request, organization=project.organization, project=project, level=level)
    if level is None:
        raise Denied("You don't have access to the project.")
    return ProjectAccess(project=project, level=level)


def writable_sibling(request: Request, project_id: int) -> Project:
    """Another project that a request writes to besides that of its path.

    Raises Missing when no organization of the caller has it, Denied when the caller's key may not enter it.
    """
    target, level = _project_with_level(request, parse_id(str(project_id)))
    if target is None or level is None:
        raise Missing("Target team not found.")
    try:
        check_key_restrictions(request, organization=target.organization, project=target, level=level)
    except Denied as error:
        raise Denied("You do not have write access to the target project.") from error
    return target


def check_key_restrictions(
    request: Request, *, organization: Organization, project: Project | None, level: int | None
) -> None:
    """Raise Denied when the personal key is bound to other projects or organizations, or keys are not allowed."""
    credential = credential_of(request)
    if not isinstance(credential, PersonalKeyCredential):
        return
    key = credential.key
    if key.scoped_teams is not None:
        if project is None:
            raise Denied(_ONLY_PROJECT_PATHS)
        if project.pk not in key.scoped_teams:
            raise Denied(f"API key does not have access to the requested project: ID {project.pk}.")
    if key.scoped_organizations is not None and organization.pk not in key.scoped_organizations:
        raise Denied(f"API key does not have access to the requested organization: ID {organization.pk}.")
    if not organization.members_can_use_personal_api_keys and (level or 0) < Level.ADMIN:
        raise Denied(
            f"Organization '{organization.name}' does not allow using personal API keys. "
            "Contact an admin to enable personal API keys for this organization."
        )


def check_key_unbound(request: Request) -> None:
    """Raise Denied for a key bound to projects, on a path that names none."""
    credential = credential_of(request)
    if isinstance(credential, PersonalKeyCredential) and credential.key.scoped_teams is not None:
        raise Denied(_ONLY_PROJECT_PATHS)


def visible_organizations(request: Request) -> QuerySet[Organization]:
    """The caller's organizations that the caller's key may see, each with `caller_level`."""
    user = request.user
    if not isinstance(user, User):
        return Organization.objects.none()
    found = Organization.objects.filter(memberships__user=user).annotate(caller_level=F("memberships__level"))
    credential = credential_of(request)
    if isinstance(credential, PersonalKeyCredential):
        found = found.filter(Q(members_can_use_personal_api_keys=True) | Q(caller_level__gte=Level.ADMIN))
        if credential.key.scoped_organizations is not None:
            found = found.filter(pk__in=credential.key.scoped_organizations)
    return found


def enter_organization(request: Request, path_id: str) -> tuple[Organization, int]:
    """The organization of the path and the caller's level in it.

    Raises Missing (404) for a malformed id and for an organization the caller is not a member of.
    """
    user = request.user
    if not isinstance(user, User):
        raise Missing
    organization_id = user.current_organization_id if path_id == CURRENT else parse_uuid(path_id)
    organization = (
        None
        if organization_id is None
        else Organization.objects.filter(pk=organization_id, memberships__user=user)
        .annotate(caller_level=F("memberships__level"))
        .first()
    )
    if organization is None:
        raise Missing
    level: int = organization.caller_level
    check_key_restrictions(request, organization=organization, project=None, level=level)
    return organization, level


def check_recent_sign_in(request: Request) -> None:
    """Raise Denied when a session is too old for a sensitive write. Keys do not age."""
    if credential_of(request) is None and not is_recent(request._request):
        raise Denied("This action requires you to be recently authenticated.", code="sensitive_action_required_reauth")
