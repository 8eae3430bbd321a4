"""Keys in the admin site: to see whose they are and to end them. Their values are known to nobody."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from common.admin import ServiceAdmin
from projects import secret_keys
from projects.models import PersonalAPIKey, ProjectSecretAPIKey


class _KeyAdmin(ServiceAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PersonalAPIKey)
class PersonalAPIKeyAdmin(_KeyAdmin):
    list_display = ("label", "user", "mask_value", "scopes", "last_used_at", "created_at")
    search_fields = ("label", "user__email")
    list_select_related = ("user",)
    ordering = ("-created_at", "pk")
    fields = (
        "label",
        "description",
        "user",
        "mask_value",
        "scopes",
        "scoped_teams",
        "scoped_organizations",
        "created_at",
        "last_used_at",
        "last_rolled_at",
    )


@admin.register(ProjectSecretAPIKey)
class ProjectSecretAPIKeyAdmin(_KeyAdmin):
    list_display = ("label", "project", "mask_value", "scopes", "last_used_at", "created_at")
    search_fields = ("label", "project__name")
    list_select_related = ("project",)
    ordering = ("-created_at", "pk")
    fields = (
        "label",
        "project",
        "mask_value",
        "scopes",
        "created_by",
        "created_at",
        "last_used_at",
        "last_rolled_at",
    )

    def delete_model(self, request: HttpRequest, obj: ProjectSecretAPIKey) -> None:
        user: Any = request.user
        secret_keys.delete_secret_key(key=obj, user=user)
