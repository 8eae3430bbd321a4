"""The shapes of requests and answers about what flags answer."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common.api.fields import DateTimeField
from feature_flags.api.serializers import FlagGroupSerializer, MinimalFeatureFlagSerializer

FLAG_VALUE = {"anyOf": [{"type": "boolean"}, {"type": "string"}], "description": "true, false or a variant."}


@extend_schema_field(FLAG_VALUE)
class FlagValueField(serializers.JSONField):
    """True, false or a variant."""


class MyFlagSerializer(serializers.Serializer[Any]):
    feature_flag = MinimalFeatureFlagSerializer()
    value = FlagValueField()


# An object with any keys is no serializer.
EVALUATION_REASONS = {
    "type": "object",
    "description": "What each flag answers, by its key.",
    "additionalProperties": {
        "type": "object",
        "required": ["value", "evaluation"],
        "properties": {
            "value": FLAG_VALUE,
            "evaluation": {
                "type": "object",
                "required": ["reason", "condition_index", "description"],
                "properties": {
                    "reason": {"type": "string"},
                    "condition_index": {"type": "integer", "nullable": True},
                    "description": {"type": "string", "nullable": True},
                },
            },
        },
    },
}


class BlastRadiusRequestSerializer(serializers.Serializer[Any]):
    condition = FlagGroupSerializer()
    group_type_index = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=4)


class BlastRadiusSerializer(serializers.Serializer[Any]):
    affected = serializers.IntegerField()
    total = serializers.IntegerField()


class TestEvaluationRequestSerializer(serializers.Serializer[Any]):
    __test__ = False

    distinct_id = serializers.CharField(required=False, allow_null=True, trim_whitespace=False)
    person_id = serializers.CharField(required=False, allow_null=True)
    timestamp = DateTimeField(required=False, allow_null=True)
    groups = serializers.DictField(required=False, allow_null=True)


class TestedPropertySerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    operator = serializers.CharField()
    value = serializers.JSONField(allow_null=True, help_text="Any JSON value: that of the condition.")
    type = serializers.CharField()
    actual_value = serializers.JSONField(allow_null=True, help_text="Any JSON value: that of the person or group.")
    matched = serializers.BooleanField()
    explanation = serializers.CharField()


class TestedConditionSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    matched = serializers.BooleanField()
    properties_matched = serializers.BooleanField()
    explanation = serializers.CharField()
    rollout_percentage = serializers.FloatField(allow_null=True)
    rollout_excluded = serializers.BooleanField()
    variant = serializers.CharField(allow_null=True)
    properties = TestedPropertySerializer(many=True)


class TestEvaluationSerializer(serializers.Serializer[Any]):
    __test__ = False

    flag_key = serializers.CharField()
    result = FlagValueField()
    reason = serializers.CharField()
    condition_index = serializers.IntegerField(allow_null=True)
    payload = serializers.CharField(allow_null=True)
    person_properties = serializers.DictField()
    evaluation_distinct_id = serializers.CharField(allow_null=True)
    conditions = TestedConditionSerializer(many=True)
