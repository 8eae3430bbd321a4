"""The shapes of flag requests and answers at the edge. Nested filters are judged by `feature_flags.validation`."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.shape_field import ShapeField
from common.property_filters import FilterValue, Operator
from feature_flags.keys import MAX_LENGTH
from feature_flags.models import BucketingIdentifier, EvaluationRuntime
from projects.api.user_basic import UserBasicSerializer

MAX_CONTEXTS = 50


class FlagVariantSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    rollout_percentage = serializers.FloatField(
        min_value=0, max_value=100, help_text="The share of users who get the variant; all together make 100."
    )
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)


class FlagMultivariateSerializer(serializers.Serializer[Any]):
    variants = serializers.ListField(child=FlagVariantSerializer(), allow_empty=False)


@extend_schema_field(
    {"anyOf": [{"type": "string"}, {"type": "number"}]},
)
class SortKeyField(serializers.JSONField):
    """A text or a number."""


class FlagPropertySerializer(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The property's name; `id` of a cohort; the id of a flag.")
    value = ShapeField(FilterValue, required=False, allow_null=True)
    operator = serializers.ChoiceField(choices=get_args(Operator), required=False, help_text="Default: `exact`.")
    type = serializers.ChoiceField(choices=["person", "cohort", "group", "flag", "person_metadata"])
    group_type_index = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=4)
    negation = serializers.BooleanField(required=False, help_text="Of a cohort: those who are not in it.")
    label = serializers.CharField(  # type: ignore[assignment]  # a member, not the serializer's own label
        required=False, allow_null=True, allow_blank=True
    )
    cohort_name = serializers.CharField(required=False, allow_null=True)


class FlagGroupSerializer(serializers.Serializer[Any]):
    properties = FlagPropertySerializer(many=True, required=False)
    rollout_percentage = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=100,
        help_text="The share of the users these conditions match; null means 100.",
    )
    variant = serializers.CharField(
        required=False, allow_null=True, help_text="The variant all of them get, whatever the weights say."
    )
    aggregation_group_type_index = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=4)
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    sort_key = SortKeyField(required=False, allow_null=True)


class FlagHoldoutSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    exclusion_percentage = serializers.FloatField(min_value=0, max_value=100)


class FlagFiltersSerializer(serializers.Serializer[Any]):
    """Describes `filters`. Requests are read by the rules themselves, whose texts name the place in the document."""

    groups = FlagGroupSerializer(
        many=True, required=False, help_text="The first set of conditions that a user matches decides."
    )
    multivariate = FlagMultivariateSerializer(required=False, allow_null=True)
    payloads = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text="A JSON text for each variant, or for `true` where there are no variants.",
    )
    aggregation_group_type_index = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=4,
        help_text="The group type whose members get the same; null: each person on their own.",
    )
    feature_enrollment = serializers.BooleanField(required=False)
    early_exit = serializers.BooleanField(
        required=False, help_text="Stop at the first group whose conditions match, even outside its rollout."
    )
    holdout = FlagHoldoutSerializer(required=False, allow_null=True)


@extend_schema_field(FlagFiltersSerializer)
class FiltersField(serializers.JSONField):
    """`filters` as sent. Null is a document of the wrong type, not an omitted one; the rules refuse it by its type."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, None) if data is None else super().validate_empty_values(data)


@extend_schema_field({"type": "integer"})
class AnyIdField(serializers.JSONField):
    """An id, or anything else, null included, which is then left out."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, None) if data is None else super().validate_empty_values(data)


class _FlagFieldsSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=MAX_LENGTH)
    name = serializers.CharField(required=False, allow_blank=True)
    filters = FiltersField(required=False)
    active = serializers.BooleanField(required=False)
    archived = serializers.BooleanField(required=False)
    deleted = serializers.BooleanField(required=False)
    ensure_experience_continuity = serializers.BooleanField(required=False)
    bucketing_identifier = serializers.ChoiceField(choices=BucketingIdentifier.choices, required=False)
    evaluation_runtime = serializers.ChoiceField(choices=EvaluationRuntime.choices, required=False)
    evaluation_contexts = serializers.ListField(
        child=serializers.CharField(max_length=255), max_length=MAX_CONTEXTS, required=False
    )
    tags = serializers.ListField(child=serializers.CharField(max_length=255), required=False)
    is_remote_configuration = serializers.BooleanField(required=False)
    has_encrypted_payloads = serializers.BooleanField(required=False)

    def validate_tags(self, tags: list[str]) -> list[str]:
        return list(dict.fromkeys(tags))

    def validate_evaluation_contexts(self, contexts: list[str]) -> list[str]:
        return list(dict.fromkeys(contexts))


@extend_schema_serializer(component_name="FeatureFlagCreate")
class FlagCreateSerializer(_FlagFieldsSerializer):
    """What a new flag is made of. Unknown keys are ignored."""

    _create_in_folder = serializers.CharField(required=False, allow_null=True, allow_blank=True, write_only=True)


@extend_schema_serializer(component_name="FeatureFlag")
class FlagUpdateSerializer(_FlagFieldsSerializer):
    """What of a flag can be changed, and the version the editor started from. Unknown keys are ignored."""

    version = serializers.IntegerField(
        required=False, allow_null=True, help_text="The version this change starts from; absent, null or -1: any."
    )
    original_flag = serializers.DictField(
        required=False, allow_null=True, help_text="The feature flag as it was read, for a change of an older version."
    )


class MinimalFeatureFlagSerializer(serializers.Serializer[Any]):
    """Describes the flag as experiments and my_flags show it."""

    id = serializers.IntegerField()
    team_id = serializers.IntegerField()
    name = serializers.CharField()
    key = serializers.CharField()
    filters = FlagFiltersSerializer()
    deleted = serializers.BooleanField()
    active = serializers.BooleanField()
    ensure_experience_continuity = serializers.BooleanField()
    has_encrypted_payloads = serializers.BooleanField()
    version = serializers.IntegerField()
    evaluation_runtime = serializers.ChoiceField(choices=EvaluationRuntime.choices)
    bucketing_identifier = serializers.ChoiceField(choices=BucketingIdentifier.choices)
    evaluation_contexts = serializers.ListField(child=serializers.CharField())


class ExperimentOfFlagSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    is_running = serializers.BooleanField()


class FeatureFlagSerializer(serializers.Serializer[Any]):
    """Describes a flag as it is read."""

    id = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    created_by = UserBasicSerializer(allow_null=True)
    last_modified_by = UserBasicSerializer(allow_null=True)
    key = serializers.CharField()
    name = serializers.CharField()
    filters = FlagFiltersSerializer()
    active = serializers.BooleanField()
    archived = serializers.BooleanField()
    deleted = serializers.BooleanField()
    version = serializers.IntegerField()
    ensure_experience_continuity = serializers.BooleanField()
    bucketing_identifier = serializers.ChoiceField(choices=BucketingIdentifier.choices)
    evaluation_runtime = serializers.ChoiceField(choices=EvaluationRuntime.choices)
    evaluation_contexts = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    is_remote_configuration = serializers.BooleanField()
    has_encrypted_payloads = serializers.BooleanField()
    experiment_set = serializers.ListField(child=serializers.IntegerField())
    experiment_set_metadata = ExperimentOfFlagSerializer(many=True)
    status = serializers.ChoiceField(choices=["ACTIVE", "STALE", "ARCHIVED", "DELETED", "UNKNOWN"])
    last_called_at = serializers.DateTimeField(allow_null=True)
    is_eligible_for_experiment = serializers.BooleanField()
    can_edit = serializers.BooleanField()
    user_access_level = serializers.CharField(allow_null=True)
    rollout_percentage = serializers.FloatField(allow_null=True)
    folder = serializers.CharField(allow_null=True)
    surveys = serializers.ListField(child=serializers.IntegerField())
    features = serializers.ListField(child=serializers.IntegerField())
    analytics_dashboards = serializers.ListField(child=serializers.IntegerField())
    usage_dashboard = serializers.IntegerField(allow_null=True)
    has_enriched_analytics = serializers.BooleanField(allow_null=True)
    is_used_in_replay_settings = serializers.BooleanField()


class FlagKeySerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    key = serializers.CharField()
    name = serializers.CharField()


class FlagRolloutSerializer(serializers.Serializer[Any]):
    effectively_full_rollout = serializers.BooleanField()
    has_targeting_conditions = serializers.BooleanField()
    max_rollout_percentage = serializers.FloatField(allow_null=True)
    is_multivariate = serializers.BooleanField()


class FlagStatusSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["active", "stale", "archived", "deleted"])
    reason = serializers.CharField()
    reason_states_rollout = serializers.BooleanField()
    rollout = FlagRolloutSerializer()


class FlagKeysRequestSerializer(serializers.Serializer[Any]):
    # What is no integer is skipped, not refused.
    ids = serializers.ListField(child=AnyIdField(), required=False)


class FlagKeysSerializer(serializers.Serializer[Any]):
    keys = serializers.DictField(child=serializers.CharField())
    warning = serializers.CharField(required=False)
