"""Describes the definitions feed. It is written by `feature_flags.local_definitions`."""

from typing import Any

from rest_framework import serializers

from feature_flags.api.serializers import MinimalFeatureFlagSerializer


class LocalFlagSerializer(MinimalFeatureFlagSerializer):
    has_experiment = serializers.BooleanField()


class LocalEvaluationSerializer(serializers.Serializer[Any]):
    flags = LocalFlagSerializer(many=True)
    group_type_mapping = serializers.DictField(child=serializers.CharField())
    cohorts = serializers.DictField(child=serializers.DictField())
    minimal_flag_called_events = serializers.BooleanField()
    property_matching_version = serializers.IntegerField()
