"""Projects in the admin site. Their rules are those of the API."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from common import documents
from common.admin import ModelForm, ServiceAdmin
from common.errors import Invalid
from projects import services, test_account_filters
from projects.api.serializers import ProjectWriteSerializer
from projects.models import Project
from projects.project_settings import SETTINGS


class ProjectForm(ModelForm):
    """Judged by the serializer of the API, so that both doors take the same."""

    # The field of the model is no field of a form: it is a document.
    test_account_filters = forms.CharField(
        widget=forms.Textarea, initial="[]", required=False, help_text="A JSON list of property filters."
    )

    class Meta:
        model = Project
        fields = (
            "organization",
            *(name for name in SETTINGS if name != "test_account_filters"),
            "experiment_recalculation_time",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["test_account_filters"] = documents.dumps(self.instance.test_account_filters)

    def clean_test_account_filters(self) -> Any:
        try:
            filters = documents.loads(self.cleaned_data["test_account_filters"] or "[]")
            known = None if self.instance._state.adding else self.instance
            test_account_filters.check(filters, project=known)
        except (documents.DocumentError, Invalid) as error:
            raise forms.ValidationError(str(error)) from error
        return filters

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        sent = {name: value for name, value in cleaned.items() if name in ProjectWriteSerializer._declared_fields}
        if sent.get("experiment_recalculation_time") is not None:
            sent["experiment_recalculation_time"] = f"{sent['experiment_recalculation_time']:%H:%M}"
        serializer = ProjectWriteSerializer(data=sent, partial=True)
        serializer.is_valid()
        for name, refusals in serializer.errors.items():
            if name not in self.errors:
                self.add_error(name, [str(refusal) for refusal in refusals])
        return cleaned


@admin.register(Project)
class ProjectAdmin(ServiceAdmin):
    form = ProjectForm
    list_display = ("name", "organization", "id", "ingested_event", "created_at")
    list_filter = ("organization",)
    search_fields = ("name",)
    ordering = ("organization__name", "pk")
    autocomplete_fields = ("organization",)
    facts = (
        "uuid",
        "api_token",
        "secret_token_mask",
        "secret_token_backup_mask",
        "ingested_event",
        "created_at",
        "updated_at",
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization", *SETTINGS, "experiment_recalculation_time", *(() if obj is None else self.facts))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("organization", *self.facts)

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        user: Any = request.user
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            services.update_project(project=obj, user=user, changes=changes)
            return
        settings = {name: value for name, value in form.cleaned_data.items() if name != "organization"}
        made, _ = services.create_project(organization=obj.organization, user=user, **settings)
        obj.pk, obj._state.adding = made.pk, False
        messages.info(request, "Its secret token is shown to nobody. Rotate it through the API to get one.")

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        services.delete_project(project=obj)
