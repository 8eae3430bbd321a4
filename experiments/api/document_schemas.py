"""The nested documents of an experiment, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from experiments.api.metric_fields import ExposureConfigField
from feature_flags.api.serializers import FlagPropertySerializer


class ExperimentVariantSerializer(serializers.Serializer[Any]):
    extra_properties = True

    key = serializers.CharField()
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    split_percent = serializers.FloatField(
        required=False, min_value=0, max_value=100, help_text="The share of users who get the variant, in percent."
    )
    rollout_percentage = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=100,
        help_text="The same as `split_percent`, which wins if both are sent.",
    )
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)


class RunningTimeCalculationSerializer(serializers.Serializer[Any]):
    minimum_detectable_effect = serializers.FloatField(required=False, allow_null=True, help_text="In percent.")
    recommended_running_time = serializers.FloatField(required=False, allow_null=True, help_text="In days.")
    recommended_sample_size = serializers.FloatField(required=False, allow_null=True)
    exposure_estimate_config = serializers.DictField(
        required=False, allow_null=True, help_text="A document of the caller's own."
    )


@extend_schema_serializer(component_name="ExperimentParameters")
class ParametersSerializer(RunningTimeCalculationSerializer):
    """Further keys are kept as sent."""

    extra_properties = True

    feature_flag_variants = ExperimentVariantSerializer(many=True, required=False)
    rollout_percentage = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=100,
        help_text="The share of users who enter the experiment, in percent; null means 100.",
    )
    aggregation_group_type_index = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=4,
        help_text="The group type whose members share a variant; null: each person has their own.",
    )
    ensure_experience_continuity = serializers.BooleanField(required=False, allow_null=True)
    feature_flag_payloads = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="A JSON text for each variant key."
    )
    custom_exposure_filter = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="Kept as sent. The first of its `events`, else of its `actions`, names what exposes a user.",
    )
    excluded_variants = serializers.ListField(child=serializers.CharField(), required=False)


class ExposureCriteriaSerializer(serializers.Serializer[Any]):
    extra_properties = True

    filterTestAccounts = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Leave out test accounts, as the project defines them. Default: true.",
    )
    exposure_config = ExposureConfigField(
        required=False, help_text="What exposes a user; absent: the call of the feature flag."
    )
    activation_config = ExposureConfigField(
        required=False, help_text="A later event or action that completes the exposure."
    )
    multiple_variant_handling = serializers.ChoiceField(
        choices=["exclude", "first_seen"],
        required=False,
        help_text="What becomes of users who saw more than one variant. Default: `exclude`.",
    )


class PriorSerializer(serializers.Serializer[Any]):
    mean = serializers.FloatField()
    variance = serializers.FloatField(help_text="Above 0.")


class BayesianConfigSerializer(serializers.Serializer[Any]):
    extra_properties = True

    ci_level = serializers.FloatField(required=False, help_text="Of the credible interval, between 0 and 1.")
    difference_type = serializers.ChoiceField(choices=["RELATIVE", "ABSOLUTE"], required=False)
    prior = PriorSerializer(required=False, help_text="Of the relative difference. Absent: flat.")


class FrequentistConfigSerializer(serializers.Serializer[Any]):
    extra_properties = True

    alpha = serializers.FloatField(required=False, help_text="The level of significance, between 0 and 1.")
    difference_type = serializers.ChoiceField(choices=["RELATIVE", "ABSOLUTE"], required=False)
    sequential_testing_enabled = serializers.BooleanField(required=False)
    sequential_tuning_parameter = serializers.FloatField(required=False, help_text="From 1 to 1000000000.")


class CupedConfigSerializer(serializers.Serializer[Any]):
    extra_properties = True

    enabled = serializers.BooleanField(required=False)
    lookback_days = serializers.IntegerField(required=False, help_text="From 1 to 30.")


class StatsConfigSerializer(serializers.Serializer[Any]):
    extra_properties = True

    method = serializers.ChoiceField(choices=["bayesian", "frequentist"], required=False, allow_null=True)
    baseline_variant_key = serializers.CharField(
        required=False, allow_null=True, help_text="The variant all others are compared with. Absent: `control`."
    )
    multiplicity = serializers.ChoiceField(
        choices=["none", "holm", "benjamini_hochberg"],
        required=False,
        allow_null=True,
        help_text="How several comparisons are corrected for each other.",
    )
    bayesian = BayesianConfigSerializer(required=False)
    frequentist = FrequentistConfigSerializer(required=False)
    cuped = CupedConfigSerializer(required=False)


class SchedulingConfigSerializer(serializers.Serializer[Any]):
    """Further keys are kept as sent."""

    extra_properties = True

    timeseries = serializers.BooleanField(required=False, help_text="true: results are computed once a day.")


class HoldoutFilterWriteSerializer(serializers.Serializer[Any]):
    properties = FlagPropertySerializer(many=True, required=False)
    rollout_percentage = serializers.FloatField(
        min_value=0, max_value=100, help_text="The share of users held out, in percent."
    )
    variant = serializers.CharField(required=False, help_text="Always becomes `holdout-` and the id of the holdout.")


class HoldoutFilterSerializer(HoldoutFilterWriteSerializer):
    variant = serializers.CharField(help_text="`holdout-` and the id of the holdout.")
