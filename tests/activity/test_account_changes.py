"""What of projects and their keys the log keeps, and what it never shows."""

from typing import Any

from activity.models import ActivityEntry
from projects import secret_keys, services, tokens
from projects.models import Organization, Project, User


def last_entry(scope: str) -> ActivityEntry:
    return ActivityEntry.objects.filter(scope=scope).latest("created_at")


def changes_of(entry: ActivityEntry) -> dict[str, Any]:
    changes: list[dict[str, Any]] = entry.detail["changes"]
    return {change["field"]: (change["action"], change["before"], change["after"]) for change in changes}


def test_create_project__is_logged_with_masks(organization: Organization, owner: User):
    project, secret = services.create_project(organization=organization, name="Shop", user=owner)

    entry = last_entry("Team")
    assert (entry.activity, entry.item_id, entry.user, entry.project) == ("created", str(project.pk), owner, project)
    assert changes_of(entry)["name"] == ("created", None, "Shop")
    assert changes_of(entry)["secret_api_token"] == ("created", None, f"phs_...{secret[-4:]}")
    assert secret not in str(entry.detail)
    assert project.api_token not in str(entry.detail)


def test_update_project__logs_only_what_changed(owner_api: Any, owner: User, project: Project):
    owner_api.patch(f"/api/projects/{project.pk}/", {"name": "Shop", "default_cuped_enabled": True})

    entry = last_entry("Team")
    assert (entry.activity, entry.user, entry.is_system) == ("updated", owner, False)
    assert changes_of(entry) == {"default_cuped_enabled": ("changed", False, True)}


def test_update_project__nothing_changes__logs_nothing_and_keeps_updated_at(owner_api: Any, project: Project):
    before = (ActivityEntry.objects.count(), project.updated_at)

    owner_api.patch(f"/api/projects/{project.pk}/", {"name": "Shop", "default_sequential_tuning_parameter": "5000"})

    project.refresh_from_db()
    assert (ActivityEntry.objects.count(), project.updated_at) == before


def test_rotate__logs_masks_and_not_the_secret(owner: User, project: Project):
    _, secret = tokens.rotate_secret_token(project=project, user=owner)

    entry = last_entry("Team")
    assert changes_of(entry) == {
        "secret_api_token": ("changed", project.secret_token_mask, f"phs_...{secret[-4:]}"),
        "secret_api_token_backup": ("created", None, project.secret_token_mask),
    }
    assert secret not in str(entry.detail)


def test_secret_key__each_write_is_logged_with_masks(owner: User, project: Project):
    key, value = secret_keys.create_secret_key(project=project, user=owner, label="CI", scopes=["experiment:read"])
    key, rolled = secret_keys.roll_secret_key(key=key, user=owner)
    secret_keys.update_secret_key(key=key, user=owner, changes={"label": "Build"})
    secret_keys.update_secret_key(key=key, user=owner, changes={"label": "Build"})
    key_id = key.pk
    secret_keys.delete_secret_key(key=key, user=owner)

    entries = list(ActivityEntry.objects.filter(scope="ProjectSecretAPIKey").order_by("created_at"))
    assert [(entry.activity, entry.item_id) for entry in entries] == [
        ("created", key_id),
        ("updated", key_id),
        ("updated", key_id),
        ("deleted", key_id),
    ]
    assert changes_of(entries[1]) == {"mask_value": ("changed", f"phs_...{value[-4:]}", f"phs_...{rolled[-4:]}")}
    assert changes_of(entries[2]) == {"label": ("changed", "CI", "Build")}
    assert changes_of(entries[3])["label"] == ("deleted", "Build", None)
    assert not any(secret in str(entry.detail) for entry in entries for secret in (value, rolled))


def test_failed_write__logs_nothing(owner_api: Any, project: Project):
    before = ActivityEntry.objects.count()

    owner_api.patch(f"/api/projects/{project.pk}/", {"name": "x" * 201})

    assert ActivityEntry.objects.count() == before
