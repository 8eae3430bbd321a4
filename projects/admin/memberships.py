"""Memberships as rows of the pages of organizations and users."""

from typing import Any

from django.http import HttpRequest

from common.admin import ModelForm, TabularInline
from projects import members, services
from projects.models import OrganizationMembership


class _MembershipForm(ModelForm):
    """Who belongs where is settled when a row is made; only the level changes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and not self.instance._state.adding:
            for name in ("user", "organization"):
                if name in self.fields:
                    self.fields[name].disabled = True


class _MembershipInline(TabularInline):
    model = OrganizationMembership
    form = _MembershipForm
    extra = 0
    readonly_fields = ("joined_at",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("user", "organization").order_by("joined_at", "pk")


class MembersInline(_MembershipInline):
    """The members of an organization."""

    fields = ("user", "level", "joined_at")
    autocomplete_fields = ("user",)


class OrganizationsInline(_MembershipInline):
    """The organizations of a user."""

    fields = ("organization", "level", "joined_at")
    autocomplete_fields = ("organization",)


def save_memberships(formset: Any) -> None:
    """Write what was changed in the rows. Who comes in or rises goes first, so that owners can be exchanged.

    Raises Invalid when an organization would be left without an owner.
    """
    formset.save(commit=False)
    for made in formset.new_objects:
        saved = services.join_organization(user=made.user, organization=made.organization, level=made.level)
        made.pk = saved.pk
    changed = [membership for membership, _ in formset.changed_objects]
    for membership in sorted(changed, key=lambda one: -one.level):
        members.change_level(membership=membership, level=membership.level, actor_level=None)
    for membership in formset.deleted_objects:
        members.remove_member(membership=membership, actor=None, actor_level=None)
