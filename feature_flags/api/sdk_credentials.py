"""The secrets of client libraries that ask outside the REST API: who they belong to and what they open."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.request import Request

from projects import access
from projects.authentication import Credential, PersonalKeyCredential, find_personal, find_secret
from projects.models import Project
from projects.scopes import has_scope

# What a personal or project secret key must be allowed to do; any one of them suffices.
SCOPES = ("feature_flag:read", "feature_flag:write")


def bearer(request: HttpRequest) -> str | None:
    """The token of the Authorization header; None without one, or of another scheme."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme == "Bearer" else None


def is_project_secret(value: str) -> bool:
    """Whether a secret is one of a project; all others are personal keys."""
    return value.startswith("phs_")


def find(value: str) -> Credential | None:
    """The secret with this value, None when nobody has it."""
    return find_secret(value) if is_project_secret(value) else find_personal(value)


def may_read_flags(credential: Credential) -> bool:
    """Whether its scopes suffice. The project's one secret token has none and needs none."""
    if credential.key is None:
        return True
    return any(has_scope(credential.scopes, scope) for scope in SCOPES)


def project_of(request: HttpRequest, credential: Credential) -> Project:
    """The project that the query's `token` names, else the secret's own, else its owner's current one.

    Raises Missing when there is none, Denied when the secret does not open it. Notes both for the request's log line.
    """
    asking = Request(request)
    asking.user = credential.key.user if isinstance(credential, PersonalKeyCredential) else AnonymousUser()
    asking.auth = credential
    project = access.enter_project(asking, access.CURRENT).project
    request.project_id, request.auth = project.pk, credential  # type: ignore[attr-defined]  # read by the log
    return project
