"""What the answers about experiments look like, for the OpenAPI document.

They are built by `experiments.api.representation`. Requests are described where they are read,
`experiments.api.requests`.
"""

from typing import Any

from rest_framework import serializers

from cohorts.api.schemas import CohortSerializer
from experiments.api.document_schemas import (
    ExposureCriteriaSerializer,
    HoldoutFilterSerializer,
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
from experiments.api.running_time_schemas import RunningTimeSerializer
from experiments.models import Conclusion, ExperimentType
from feature_flags.api.serializers import FeatureFlagSerializer, MinimalFeatureFlagSerializer
from projects.api.user_basic import UserBasicSerializer

__all__ = [
    "ELIGIBLE_FLAGS_PARAMETERS",
    "FLAG_IMPLEMENTATION_PARAMETERS",
    "LIST_PARAMETERS",
    "EligibleFeatureFlagsSerializer",
    "ExperimentHoldoutSerializer",
    "ExperimentSerializer",
    "ExposureCohortSerializer",
    "FlagImplementationSerializer",
    "LaunchStatisticsSerializer",
    "RunningTimeSerializer",
]

ORDERED = "The uuids of the metrics, inline and saved, in the order in which they are shown."


class ExperimentHoldoutSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    filters = HoldoutFilterSerializer(many=True)
    created_by = UserBasicSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SavedMetricMetadataSerializer(serializers.Serializer[Any]):
    extra_properties = True

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
