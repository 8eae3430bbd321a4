"""What a running time calculation gives, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers


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
