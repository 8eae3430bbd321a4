"""What cohorts look like to callers, and what they send."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from cohorts.filters import CohortFilters
from common import documents
from common.api.fields import BooleanField
from common.api.serializers import ParsedField, RequestSerializer
from common.api.shape_field import ShapeField
from common.errors import Invalid
from events.api.serializers import PersonSerializer
from projects.api.user_basic import UserBasicSerializer


class CohortSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    deleted = serializers.BooleanField()
    filters = ShapeField(CohortFilters)
    is_static = serializers.BooleanField(help_text="Whether its persons are listed, not computed from `filters`.")
    created_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    experiment_set = serializers.ListField(
        child=serializers.IntegerField(), help_text="The ids of the experiments whose exposed users these are."
    )
    cohort_type = serializers.ChoiceField(choices=["static", "person_property", "behavioral"])
    groups = serializers.ListField(child=serializers.DictField(), help_text="Always empty.")
    query = serializers.DictField(allow_null=True, help_text="Always null.")
    search_match_type = serializers.CharField(allow_null=True, help_text="Always null.")
    version = serializers.IntegerField(allow_null=True, help_text="The version whose persons are known.")
    pending_version = serializers.IntegerField(allow_null=True, help_text="The version being calculated.")
    is_calculating = serializers.BooleanField()
    last_calculation = serializers.DateTimeField(allow_null=True)
    last_backfill_person_properties_at = serializers.DateTimeField(allow_null=True)
    count = serializers.IntegerField(allow_null=True, help_text="How many persons it has.")
    errors_calculating = serializers.IntegerField(help_text="How many calculations have failed in a row.")
    last_error_message = serializers.CharField(allow_null=True)


class CohortListItemSerializer(CohortSerializer):
    """A cohort of a list, which with `basic` has a few keys only."""

    always = frozenset({"id", "name", "count", "is_static"})

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name in self.always
        return fields


def _as_sent(value: Any) -> Any:
    """Criteria are judged by the domain; a form can only hold them as text."""
    if not isinstance(value, str):
        return value
    try:
        return documents.loads(value)
    except documents.DocumentError:
        return value


def _refuse_query(value: Any) -> None:
    if value is not None:
        raise Invalid("Query cohorts are not supported.", attr="query")


@extend_schema_serializer(component_name="CohortWrite")
class CohortRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(required=False, allow_blank=True)
    deleted = BooleanField(required=False, help_text="True deletes the cohort, false restores it.")
    filters = ParsedField(_as_sent, described_by=ShapeField(CohortFilters))
    is_static = BooleanField(required=False, help_text="Fixed at creation.")
    query = ParsedField(_refuse_query, described_by=serializers.DictField(allow_null=True, help_text="Always null."))
    _create_in_folder = serializers.CharField(required=False, allow_null=True, write_only=True)
    _create_static_person_ids = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="The uuids of the persons of a static cohort."
    )


class StaticCohortPersonsRequest(RequestSerializer):
    person_ids = serializers.ListField(child=serializers.CharField(), help_text="The uuids of persons.")


class StaticCohortPersonRequest(RequestSerializer):
    person_id = serializers.CharField(help_text="The uuid of a person.")


class SuccessSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()


@extend_schema_serializer(many=False)
class CohortPersonsSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PersonSerializer(many=True)


class CohortCalculationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    version = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()
    count = serializers.IntegerField(allow_null=True, help_text="How many persons were found; null after a failure.")
    error = serializers.CharField(allow_null=True)


@extend_schema_serializer(many=False)
class CohortCalculationsSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CohortCalculationSerializer(many=True)


class UsingFlagSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    key = serializers.CharField()


class UsingObjectSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class CohortUsesSerializer(serializers.Serializer[Any]):
    feature_flags = UsingFlagSerializer(many=True)
    cohorts = UsingObjectSerializer(many=True)
    experiments = UsingObjectSerializer(many=True)
