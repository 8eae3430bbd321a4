"""Organizations and roles in the admin site."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from common.admin import ServiceAdmin, TabularInline
from projects import roles, services
from projects.admin.memberships import MembersInline, save_memberships
from projects.models import Organization, OrganizationMembership, Role, RoleMembership


@admin.register(Organization)
class OrganizationAdmin(ServiceAdmin):
    list_display = ("name", "slug", "members_can_use_personal_api_keys", "created_at")
    search_fields = ("name", "slug")
    ordering = ("created_at", "pk")
    fields = ("name", "slug", "members_can_use_personal_api_keys", "id", "created_at")
    readonly_fields = ("slug", "id", "created_at")
    inlines = (MembersInline,)

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if not change:
            made = services.create_organization(name=obj.name)
            obj.pk, obj.slug, obj._state.adding = made.pk, made.slug, False
        services.update_organization(organization=obj, changes=changes)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        save_memberships(formset)

    def delete_model(self, request: HttpRequest, obj: Organization) -> None:
        services.delete_organization(organization=obj)


class _RoleMembersInline(TabularInline):
    model = RoleMembership
    extra = 0
    fields = ("membership", "joined_at")
    readonly_fields = ("joined_at",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        related = ("membership__user", "membership__organization")
        return super().get_queryset(request).select_related(*related).order_by("joined_at", "pk")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "membership":
            match = request.resolver_match
            role_id: Any = None if match is None else match.kwargs.get("object_id")
            options["queryset"] = OrganizationMembership.objects.filter(organization__roles__pk=role_id).select_related(
                "user", "organization"
            )
        return super().formfield_for_foreignkey(db_field, request, **options)


@admin.register(Role)
class RoleAdmin(ServiceAdmin):
    list_display = ("name", "organization", "created_at")
    list_filter = ("organization",)
    search_fields = ("name",)
    ordering = ("organization__name", "name")
    fields = ("organization", "name", "created_by", "created_at")
    autocomplete_fields = ("organization",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        settled = () if obj is None else ("organization",)
        return (*settled, "created_by", "created_at")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else (_RoleMembersInline,)

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        if change:
            roles.rename_role(role=obj, name=obj.name)
        else:
            user: Any = request.user
            made = roles.create_role(organization=obj.organization, name=obj.name, user=user)
            obj.pk, obj._state.adding = made.pk, False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for made in formset.new_objects:
            made.pk = roles.add_to_role(role=made.role, user_uuid=made.membership.user.uuid).pk
        for gone in formset.deleted_objects:
            gone.delete()
