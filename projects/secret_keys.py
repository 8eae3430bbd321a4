"""Project secret keys: scoped keys of a project, for servers. A value is returned once, by what makes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from common.errors import Invalid
from projects.changes import tell
from projects.keys import hash_key, mask_key, new_secret_key
from projects.locking import locked
from projects.models import Project, ProjectSecretAPIKey, User
from projects.scopes import ALL, SECRET_KEY_SCOPES

LIMIT = 50


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise Invalid for the first scope that such a key cannot have."""
    if ALL in scopes:
        raise Invalid(
            "Wildcard scope '*' is not allowed for project API keys. Please specify explicit scopes.", attr="scopes"
        )
    for scope in scopes:
        if scope not in SECRET_KEY_SCOPES:
            raise Invalid(
                f"Scope '{scope}' can not be assigned to a project secret API key. "
                f"Allowed scopes: {', '.join(SECRET_KEY_SCOPES)}",
                attr="scopes",
            )


@transaction.atomic
def create_secret_key(
    *, project: Project, user: User | None, label: str, scopes: Sequence[str]
) -> tuple[ProjectSecretAPIKey, str]:
    """A new key and its value. Raises Invalid for a taken label, a scope not allowed, and beyond fifty keys."""
    check_scopes(scopes)
    locked(project)  # two creations cannot both be the fiftieth
    if ProjectSecretAPIKey.objects.filter(project=project).count() >= LIMIT:
        raise Invalid(
            f"You can only have {LIMIT} project secret API keys. Remove an existing key before creating a new one."
        )
    value = new_secret_key()
    key = ProjectSecretAPIKey(
        id=get_random_string(22),
        project=project,
        label=label,
        value_hash=hash_key(value),
        mask_value=mask_key(value),
        scopes=list(scopes),
        created_by=user,
    )
    _save(key)
    _tell(key, user=user, before=None, after=_snapshot(key))
    return key, value


@transaction.atomic
def update_secret_key(
    *, key: ProjectSecretAPIKey, user: User | None, changes: Mapping[str, Any]
) -> ProjectSecretAPIKey:
    """Change label or scopes; the same rules as at creation. Equal values change and record nothing."""
    check_scopes(changes.get("scopes", ()))
    key = locked(key)
    before = _snapshot(key)
    for name, value in changes.items():
        setattr(key, name, value)
    if _snapshot(key) != before:
        _save(key, list(changes))
        _tell(key, user=user, before=before, after=_snapshot(key))
    return key


@transaction.atomic
def roll_secret_key(*, key: ProjectSecretAPIKey, user: User | None) -> tuple[ProjectSecretAPIKey, str]:
    """Give the key a new value, which is returned with it; the old one stops at once."""
    key = locked(key)
    before = _snapshot(key)
    value = new_secret_key()
    key.value_hash, key.mask_value, key.last_rolled_at = hash_key(value), mask_key(value), timezone.now()
    key.save(update_fields=["value_hash", "mask_value", "last_rolled_at"])
    _tell(key, user=user, before=before, after=_snapshot(key))
    return key, value


@transaction.atomic
def delete_secret_key(*, key: ProjectSecretAPIKey, user: User | None) -> None:
    """End a key."""
    key = locked(key)
    before = _snapshot(key)
    _tell(key, user=user, before=before, after=None)
    key.delete()


def _save(key: ProjectSecretAPIKey, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            key.save(update_fields=fields)
    except IntegrityError as error:
        if "secret_key_label_unique" in str(error):
            raise Invalid(f"Project secret API key with label '{key.label}' already exists.", attr="label") from None
        raise


def _snapshot(key: ProjectSecretAPIKey) -> dict[str, Any]:
    return {"label": key.label, "scopes": list(key.scopes), "mask_value": key.mask_value}


def _tell(
    key: ProjectSecretAPIKey, *, user: User | None, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    tell(
        project=key.project,
        user=user,
        scope="ProjectSecretAPIKey",
        item_id=key.pk,
        name=key.label,
        before=before,
        after=after,
    )
