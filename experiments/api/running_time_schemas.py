"""What a running time calculation takes and gives, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

METRIC_TYPES = ("funnel", "mean_count", "mean_sum_or_avg", "ratio", "retention")


class BaselineStatsSerializer(serializers.Serializer[Any]):
    """An arm's sums, named as results name them."""

    number_of_samples = serializers.IntegerField(min_value=0)
    sum = serializers.FloatField(required=False)
    sum_squares = serializers.FloatField(required=False, default=0)
    denominator_sum = serializers.FloatField(required=False, allow_null=True)
    denominator_sum_squares = serializers.FloatField(required=False, allow_null=True)
    numerator_denominator_sum_product = serializers.FloatField(required=False, allow_null=True)
    step_counts = serializers.ListField(child=serializers.IntegerField(), required=False)


class RunningTimeRequestSerializer(serializers.Serializer[Any]):
    metric_type = serializers.ChoiceField(choices=METRIC_TYPES)
    minimum_detectable_effect = serializers.FloatField(help_text="In percent of the baseline, above 0.")
    number_of_variants = serializers.IntegerField(min_value=2, required=False, default=2)
    exposure_rate_per_day = serializers.FloatField(min_value=0, required=False, allow_null=True)
    baseline_value = serializers.FloatField(required=False, allow_null=True)
    variance = serializers.FloatField(min_value=0, required=False, allow_null=True)
    baseline_stats = BaselineStatsSerializer(
        required=False, allow_null=True, help_text="The sums of the baseline, in place of its value and variance."
    )


class DetectableEffectSerializer(serializers.Serializer[Any]):
    week = serializers.IntegerField()
    sample_size = serializers.FloatField(help_text="Units over all variants by the end of the week.")
    minimum_detectable_effect = serializers.FloatField(allow_null=True, help_text="In percent, at a power of 0.8.")


class RunningTimeSerializer(serializers.Serializer[Any]):
    baseline_value = serializers.FloatField(allow_null=True)
    variance = serializers.FloatField(allow_null=True)
    recommended_sample_size = serializers.IntegerField(allow_null=True, help_text="Units over all variants.")
    recommended_running_time_days = serializers.IntegerField(allow_null=True)
    power_at_recommended = serializers.FloatField(allow_null=True)
    mde_by_week = DetectableEffectSerializer(many=True, allow_null=True)
