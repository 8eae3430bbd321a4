"""What cohorts look like to callers, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from cohorts.filters import CohortFilters
from common.api.shape_field import ShapeField
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
