"""The first organization, user, project and keys, and the file that tells their owner about them."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from projects import services
from projects.models import Level, Organization

FILE_NAME = "credentials.json"
EMAIL = "owner@example.com"
# Any number that nothing else locks: two first starts on one database make one organization.
_BOOTSTRAP_LOCK = 7226041331


def bootstrap(*, base_url: str, path: Path) -> dict[str, Any] | None:
    """Make the first organization, owner, project and keys, unless the database has an organization already.

    The credentials are in `path` (mode 0600) before they become valid, so a crash cannot lose them. Returns them, or
    None when there was nothing to do: keys are stored as hashes and cannot be told a second time.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_BOOTSTRAP_LOCK])
        if Organization.objects.exists():
            return None
        password = secrets.token_urlsafe(15)
        organization = services.create_organization(name="My organization")
        user = services.create_user(
            email=EMAIL, password=password, level=Level.OWNER, organization=organization, is_staff=True
        )
        project, secret_token = services.create_project(organization=organization, name="Default project")
        _, personal_key = services.create_personal_api_key(user=user, label="First key", scopes=["*"])
        credentials = {
            "base_url": base_url,
            "organization_id": str(organization.pk),
            "project_id": project.pk,
            "project_api_token": project.api_token,
            "project_secret_api_key": secret_token,
            "personal_api_key": personal_key,
            "email": user.email,
            "password": password,
        }
        write(credentials, path=path)
    return credentials


def read(path: Path) -> dict[str, Any] | None:
    """The credentials in the file, None when there is none."""
    try:
        credentials: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return credentials


def write(credentials: dict[str, Any], *, path: Path) -> None:
    """Write the file whole or not at all, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(credentials, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
