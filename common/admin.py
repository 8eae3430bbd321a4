"""The base of the admin site's pages: writes go through services, and their refusals are told as messages."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from common.errors import DomainError

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # not generic at run time
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm

__all__ = ["ModelForm", "ServiceAdmin", "TabularInline"]


class ServiceAdmin(_ModelAdmin):
    """Saves and deletes by services: override `save_model`, `save_formset` and `delete_model`.

    A refusal (`DomainError`) undoes the whole request and comes back as a message on the page it came from.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        return self._refused_as_message(
            request, lambda: super(ServiceAdmin, self).changeform_view(request, object_id, form_url, extra_context)
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer: HttpResponse = self._refused_as_message(
            request, lambda: super(ServiceAdmin, self).delete_view(request, object_id, extra_context)
        )
        return answer

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self._refused_as_message(
            request, lambda: super(ServiceAdmin, self).changelist_view(request, extra_context)
        )

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for found in queryset:
            self.delete_model(request, found)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What is asked to be deleted. What hangs on it goes too; a project's events are too many to list."""
        named = [str(found) for found in objs]
        return named, {str(self.opts.verbose_name_plural): len(named)}, set(), []

    @staticmethod
    def _refused_as_message(request: HttpRequest, act: Callable[[], Any]) -> Any:
        try:
            with transaction.atomic():
                return act()
        except DomainError as refusal:
            messages.error(request, refusal.detail)
            return redirect(request.get_full_path())
