"""What experiment requests and answers look like, for the OpenAPI document.

Requests are read by the rules of the domain, whose texts name the field and the case; answers are built by
`experiments.api.representation`. These classes describe both to callers.
"""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from cohorts.api.schemas import CohortSerializer
from experiments.api.document_schemas import (
    ExposureCriteriaSerializer,
    HoldoutFilterSerializer,
    HoldoutFilterWriteSerializer,
    ParametersSerializer,
    RunningTimeCalculationSerializer,
    SchedulingConfigSerializer,
    StatsConfigSerializer,
)
from experiments.api.list_parameters import (
    ELIGIBLE_FLAGS_PARAMETERS,
    FLAG_IMPLEMENTATION_PARAMETERS,
    LIST_PARAMETERS,
)
from experiments.api.metric_fields import MetricField, MetricListField
from experiments.api.running_time_schemas import RunningTimeRequestSerializer, RunningTimeSerializer
from experiments.models import Conclusion, ExperimentType
from feature_flags.api.serializers import FeatureFlagSerializer, MinimalFeatureFlagSerializer
from projects.api.user_basic import UserBasicSerializer

__all__ = [
    "ELIGIBLE_FLAGS_PARAMETERS",
    "FLAG_IMPLEMENTATION_PARAMETERS",
    "LIST_PARAMETERS",
    "CopyToProjectRequestSerializer",
    "DuplicateRequestSerializer",
    "EligibleFeatureFlagsSerializer",
    "EndRequestSerializer",
    "ExperimentCreateSerializer",
    "ExperimentHoldoutSerializer",
    "ExperimentSerializer",
    "ExperimentUpdateSerializer",
    "ExposureCohortSerializer",
    "FlagImplementationSerializer",
    "HoldoutWriteSerializer",
    "LaunchStatisticsSerializer",
    "RunningTimeRequestSerializer",
    "RunningTimeSerializer",
    "ShipVariantRequestSerializer",
]

MAX_NAME = 400
MAX_DESCRIPTION = 3000
MAX_COMMENT = 4000
ORDERED = "The uuids of the metrics, inline and saved, in the order in which they are shown."


class ExperimentHoldoutSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    filters = HoldoutFilterSerializer(many=True)
    created_by = UserBasicSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(component_name="ExperimentHoldoutWrite")
class HoldoutWriteSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=MAX_NAME)
    description = serializers.CharField(max_length=400, required=False, allow_null=True, allow_blank=True)
    filters = serializers.ListField(
        child=HoldoutFilterWriteSerializer(), allow_empty=False, help_text="The first one says what share is held out."
    )


class SavedMetricMetadataSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="`primary`; any other text means secondary.")


class ExperimentToSavedMetricSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    experiment = serializers.IntegerField()
    saved_metric = serializers.IntegerField(help_text="The id of the saved metric.")
    metadata = SavedMetricMetadataSerializer()
    created_at = serializers.DateTimeField()
    name = serializers.CharField()
    query = MetricField()


class SavedMetricReferenceSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="The id of the saved metric.")
    metadata = SavedMetricMetadataSerializer()


class SavedMetricLinkSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="The id of the saved metric.")
    metadata = SavedMetricMetadataSerializer(
        required=False, allow_null=True, help_text="Absent or null: `{'type': 'primary'}`."
    )


class ExperimentSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    start_date = serializers.DateTimeField(allow_null=True)
    end_date = serializers.DateTimeField(allow_null=True)
    feature_flag_key = serializers.CharField()
    feature_flag = MinimalFeatureFlagSerializer()
    holdout = ExperimentHoldoutSerializer(allow_null=True)
    holdout_id = serializers.IntegerField(allow_null=True)
    exposure_cohort = serializers.IntegerField(allow_null=True, help_text="The id of the cohort of exposed users.")
    parameters = ParametersSerializer()
    running_time_calculation = RunningTimeCalculationSerializer()
    excluded_variants = serializers.ListField(
        child=serializers.CharField(), help_text="Variants left out of the analysis."
    )
    secondary_metrics = serializers.ListField(child=serializers.DictField(), help_text="Stored, never computed.")
    saved_metrics = ExperimentToSavedMetricSerializer(many=True)
    saved_metrics_ids = SavedMetricReferenceSerializer(many=True)
    filters = serializers.DictField(help_text="A document of the caller's own.")
    archived = serializers.BooleanField()
    deleted = serializers.BooleanField()
    created_by = UserBasicSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=ExperimentType.choices, allow_null=True)
    exposure_criteria = ExposureCriteriaSerializer(allow_null=True)
    metrics = MetricListField(help_text="The primary metrics.")
    metrics_secondary = MetricListField(help_text="The secondary metrics.")
    stats_config = StatsConfigSerializer(allow_null=True)
    scheduling_config = SchedulingConfigSerializer(allow_null=True)
    folder = serializers.CharField(allow_null=True)
    conclusion = serializers.ChoiceField(choices=Conclusion.choices, allow_null=True)
    conclusion_comment = serializers.CharField(allow_null=True)
    primary_metrics_ordered_uuids = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text=ORDERED
    )
    secondary_metrics_ordered_uuids = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text=ORDERED
    )
    exposure_preaggregation_enabled = serializers.BooleanField()
    only_count_matured_users = serializers.BooleanField()
    status = serializers.ChoiceField(
        choices=["draft", "running", "paused", "stopped"],
        help_text="`draft`: not launched. `paused`: launched, but its feature flag is switched off.",
    )
    user_access_level = serializers.CharField(allow_null=True)


class FlagInputVariantSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    rollout_percentage = serializers.FloatField(min_value=0, max_value=100)


class FlagInputMultivariateSerializer(serializers.Serializer[Any]):
    variants = FlagInputVariantSerializer(many=True)


class FlagInputGroupSerializer(serializers.Serializer[Any]):
    properties = serializers.ListField(child=serializers.DictField(), max_length=0, required=False)
    rollout_percentage = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=100)


class FlagInputFiltersSerializer(serializers.Serializer[Any]):
    multivariate = FlagInputMultivariateSerializer(required=False)
    groups = serializers.ListField(child=FlagInputGroupSerializer(), max_length=1, required=False)
    payloads = serializers.DictField(child=serializers.CharField(), required=False)
    aggregation_group_type_index = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=4)


class ExperimentFlagInputSerializer(serializers.Serializer[Any]):
    filters = FlagInputFiltersSerializer(required=False)
    ensure_experience_continuity = serializers.BooleanField(required=False, allow_null=True)


class _WritableFieldsSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=MAX_NAME)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_null=True, allow_blank=True)
    start_date = serializers.DateTimeField(required=False, allow_null=True)
    end_date = serializers.DateTimeField(required=False, allow_null=True)
    feature_flag_key = serializers.CharField(max_length=MAX_NAME)
    feature_flag = ExperimentFlagInputSerializer(
        required=False,
        allow_null=True,
        help_text="Settings of the feature flag; they win over the same settings in `parameters`.",
    )
    holdout_id = serializers.IntegerField(required=False, allow_null=True)
    parameters = ParametersSerializer(
        required=False, allow_null=True, help_text="Replaces the stored parameters as a whole."
    )
    running_time_calculation = RunningTimeCalculationSerializer(required=False, allow_null=True)
    excluded_variants = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        allow_null=True,
        help_text="Variants left out of the analysis; the baseline cannot be.",
    )
    secondary_metrics = serializers.ListField(
        child=serializers.DictField(), required=False, allow_null=True, help_text="Stored, never computed."
    )
    saved_metrics_ids = serializers.ListField(
        child=SavedMetricLinkSerializer(),
        required=False,
        allow_null=True,
        help_text="The full new set of linked saved metrics; null or empty removes all links.",
    )
    filters = serializers.DictField(required=False, help_text="A document of the caller's own.")
    archived = serializers.BooleanField(required=False)
    deleted = serializers.BooleanField(required=False, allow_null=True)
    type = serializers.ChoiceField(choices=ExperimentType.choices, required=False, allow_null=True)
    exposure_criteria = ExposureCriteriaSerializer(required=False, allow_null=True)
    metrics = MetricListField(required=False, allow_null=True, help_text="The primary metrics.")
    metrics_secondary = MetricListField(required=False, allow_null=True, help_text="The secondary metrics.")
    stats_config = StatsConfigSerializer(required=False, allow_null=True)
    scheduling_config = SchedulingConfigSerializer(required=False, allow_null=True)
    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(
        max_length=MAX_COMMENT, required=False, allow_null=True, allow_blank=True
    )
    primary_metrics_ordered_uuids = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True, help_text=ORDERED
    )
    secondary_metrics_ordered_uuids = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True, help_text=ORDERED
    )
    exposure_preaggregation_enabled = serializers.BooleanField(required=False)
    only_count_matured_users = serializers.BooleanField(required=False)
    _create_in_folder = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    update_feature_flag_params = serializers.BooleanField(
        required=False,
        help_text="Whether sent variants, rollout and aggregation reach the feature flag of a launched experiment.",
    )
    allow_unknown_events = serializers.BooleanField(
        required=False, help_text="Has no effect: event names are not checked against stored events."
    )


class ExperimentCreateSerializer(_WritableFieldsSerializer):
    """Describes the body that creates an experiment."""


@extend_schema_serializer(component_name="Experiment")
class ExperimentUpdateSerializer(_WritableFieldsSerializer):
    """Describes the body of a change; as a component, `PatchedExperiment`."""


@extend_schema_serializer(component_name="ExperimentEndRequest")
class EndRequestSerializer(serializers.Serializer[Any]):
    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(
        max_length=MAX_COMMENT, required=False, allow_null=True, allow_blank=True
    )


@extend_schema_serializer(component_name="ExperimentShipVariantRequest")
class ShipVariantRequestSerializer(EndRequestSerializer):
    variant_key = serializers.CharField()
    release_to_everyone = serializers.BooleanField(
        required=False,
        default=True,
        help_text="true: everyone gets the variant. false: those whom the flag's conditions reach.",
    )


@extend_schema_serializer(component_name="ExperimentDuplicateRequest")
class DuplicateRequestSerializer(serializers.Serializer[Any]):
    feature_flag_key = serializers.CharField(
        required=False, allow_null=True, help_text="Absent, null or the source's own: both share one feature flag."
    )
    name = serializers.CharField(
        max_length=MAX_NAME,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Absent, null or blank: the source's name with `(Copy)`.",
    )


@extend_schema_serializer(component_name="ExperimentCopyToProjectRequest")
class CopyToProjectRequestSerializer(DuplicateRequestSerializer):
    target_team_id = serializers.IntegerField(help_text="The id of the project that gets the copy.")


class EligibleFeatureFlagsSerializer(serializers.Serializer[Any]):
    results = FeatureFlagSerializer(many=True)
    count = serializers.IntegerField(help_text="How many flags there are in all.")


class ExposureCohortSerializer(serializers.Serializer[Any]):
    cohort = CohortSerializer()


class FlagImplementationSerializer(serializers.Serializer[Any]):
    result = serializers.BooleanField(help_text="false: recent events already carry feature flag properties.")


class LaunchStatisticsSerializer(serializers.Serializer[Any]):
    launched_last_30d = serializers.IntegerField()
    launched_previous_30d = serializers.IntegerField(help_text="In the 30 days before those.")
    percent_change = serializers.FloatField(help_text="Of the launches, in percent of the previous 30 days.")
    active_experiments = serializers.IntegerField()
    completed_last_30d = serializers.IntegerField()
