"""Who is asking: the one credential of a REST request.

The first credential found, in the order Bearer header, body, query, session, is the only one tried: a bad key is
refused even beside a valid session.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import CharField, Q, QuerySet
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from common.compiled import CompiledLookup, Slot
from projects.keys import hash_key
from projects.models import PersonalAPIKey, Project, ProjectSecretAPIKey, User

LAST_USED_PRECISION = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PersonalKeyCredential:
    """A personal API key of an active user."""

    key: PersonalAPIKey

    @property
    def scopes(self) -> list[str]:
        return self.key.scopes

    @property
    def key_id(self) -> str:
        return self.key.pk


@dataclass(frozen=True, slots=True)
class SecretKeyCredential:
    """A project secret key (`key` set, scoped) or the project's secret token (`key` None)."""

    project_id: int
    key: ProjectSecretAPIKey | None

    @property
    def scopes(self) -> list[str]:
        return [] if self.key is None else self.key.scopes

    @property
    def key_id(self) -> str:
        return f"project-{self.project_id}-secret" if self.key is None else self.key.pk


Credential = PersonalKeyCredential | SecretKeyCredential


def find_secret(value: str) -> SecretKeyCredential | None:
    """The project secret key or secret token (the backup included) with this value."""
    hashed = hash_key(value)
    key = ProjectSecretAPIKey.objects.filter(value_hash=hashed).first()
    if key is not None:
        _touch(key)
        return SecretKeyCredential(project_id=key.project_id, key=key)
    token = Q(secret_token_hash=hashed) | Q(secret_token_backup_hash=hashed)
    project_id = Project.objects.filter(token).values_list("pk", flat=True).first()
    return None if project_id is None else SecretKeyCredential(project_id=project_id, key=None)


def _personal_keys() -> QuerySet[PersonalAPIKey]:
    return PersonalAPIKey.objects.select_related("user").filter(value_hash=Slot(CharField()), user__is_active=True)


_PERSONAL = CompiledLookup(_personal_keys)


def find_personal(value: str) -> PersonalKeyCredential | None:
    """The personal API key with this value, of an active user."""
    key = _PERSONAL.first(hash_key(value))
    if key is None:
        return None
    _touch(key)
    return PersonalKeyCredential(key)


def _touch(key: PersonalAPIKey | ProjectSecretAPIKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_PRECISION:
        type(key)._default_manager.filter(pk=key.pk).update(last_used_at=now)


def _from_header(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme == "Bearer" else None


def _from_body(request: Request) -> str | None:
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    try:
        content = request.data
    except APIException as error:
        # An unreadable body holds no key. The view refuses it later, after the checks that come first.
        request._request.unreadable_body = error  # type: ignore[attr-defined]
        return None
    if not isinstance(content, dict):
        return None
    for name in ("personal_api_key", "secret_api_key"):
        value = content.get(name)
        if isinstance(value, str) and value:
            return value
    return None


class CredentialAuthentication(BaseAuthentication):
    """Finds the credential; `request.auth` is it (None for a session), `request.user` its user."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Credential | None] | None:
        sources = (
            ("Authorization header", _from_header),
            ("body", _from_body),
            ("query string", lambda request: request.query_params.get("personal_api_key")),
        )
        for place, find in sources:
            value = find(request)
            if value:
                return self._authenticate_key(value, place)
        return self._authenticate_session(request)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'

    def _authenticate_key(self, value: str, place: str) -> tuple[User | AnonymousUser, Credential]:
        if value.startswith("phs_"):
            secret = find_secret(value)
            if secret is None:
                raise AuthenticationFailed(f"Project secret API key found in request {place} is invalid.")
            return AnonymousUser(), secret
        personal = find_personal(value)
        if personal is None:
            raise AuthenticationFailed(f"Personal API key found in request {place} is invalid.")
        return personal.key.user, personal

    def _authenticate_session(self, request: Request) -> tuple[Any, None] | None:
        result = SessionAuthentication().authenticate(request)
        return None if result is None else (result[0], None)
