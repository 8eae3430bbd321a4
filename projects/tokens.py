"""The tokens of a project: the secret one with its backup, and the public one."""

from typing import Any

from django.db import transaction

from projects.keys import hash_key, mask_key, new_project_token, new_secret_key
from projects.locking import locked
from projects.models import Project, User
from projects.services import update_project


@transaction.atomic
def rotate_secret_token(*, project: Project, user: User | None) -> tuple[Project, str]:
    """A new secret token, which is returned. The one before stays valid as backup; the backup before that stops."""
    current = locked(project)
    secret = new_secret_key()
    changes: dict[str, Any] = {
        "secret_token_hash": hash_key(secret),
        "secret_token_mask": mask_key(secret),
        "secret_token_backup_hash": current.secret_token_hash,
        "secret_token_backup_mask": current.secret_token_mask,
    }
    return update_project(project=current, user=user, changes=changes), secret


def delete_secret_token_backup(*, project: Project, user: User | None) -> Project:
    """Stop the backup of the secret token; nothing happens when there is none."""
    changes = {"secret_token_backup_hash": None, "secret_token_backup_mask": None}
    return update_project(project=project, user=user, changes=changes)


def reset_token(*, project: Project, user: User | None) -> Project:
    """A new public token; the old one stops at once."""
    return update_project(project=project, user=user, changes={"api_token": new_project_token()})
