"""Users in the admin site."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.http import HttpRequest

from common.admin import ServiceAdmin
from projects import members, services
from projects.admin.memberships import OrganizationsInline, save_memberships
from projects.models import Level, Organization, User


def _check_email(email: str, user: User) -> str:
    if User.objects.filter(email__iexact=email).exclude(pk=user.pk).exists():
        raise forms.ValidationError("There is already a user with this e-mail address.", code="unique")
    return email


class UserAddForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    """A new user starts as a member of one organization."""

    organization = forms.ModelChoiceField(Organization.objects.order_by("name", "pk"))
    level = forms.TypedChoiceField(choices=Level.choices, coerce=int, initial=Level.MEMBER)

    class Meta:
        model = User
        fields = ("email", "first_name", "last_name", "is_staff")

    def clean_email(self) -> str:
        return _check_email(self.cleaned_data["email"], self.instance)


class UserEditForm(UserChangeForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = User
        fields = ("email", "first_name", "last_name", "is_active", "is_staff")

    def clean_email(self) -> str:
        return _check_email(self.cleaned_data["email"], self.instance)


@admin.register(User)
class AccountAdmin(ServiceAdmin, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = UserEditForm
    add_form = UserAddForm
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "memberships__organization")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("uuid", "distinct_id", "date_joined", "last_login", "current_organization", "current_project")
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name")}),
        ("Access", {"fields": ("is_active", "is_staff"), "description": "Staff may use this admin site."}),
        ("Facts", {"fields": readonly_fields}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "password1", "password2", "first_name", "last_name")}),
        ("Access", {"fields": ("organization", "level", "is_staff")}),
    )

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else (OrganizationsInline,)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            if "is_active" in form.changed_data and not obj.is_active:
                members.deactivate_user(user=obj)
            obj.is_superuser = obj.is_staff  # staff are not told apart further
            obj.save()
            return
        sent = form.cleaned_data
        made = services.create_user(
            email=sent["email"],
            password=sent["password1"],
            level=sent["level"],
            organization=sent["organization"],
            first_name=sent["first_name"],
            last_name=sent["last_name"],
            is_staff=sent["is_staff"],
        )
        obj.pk, obj._state.adding = made.pk, False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        save_memberships(formset)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        members.delete_user(user=obj)


# Permissions come from levels and from being staff.
admin.site.unregister(Group)
