"""The writable `feature_flag` of an experiment: settings of its flag, named by their full path when they are wrong."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.fields import SkipField

from common import documents
from common.api.fields import BooleanField, NumberField
from common.api.serializers import RequestSerializer
from experiments.flag_config import OMITTED, FlagSettings
from experiments.variants import parse_variants
from feature_flags.validation.structure import MAX_GROUP_TYPE_INDEX

ATTR = "feature_flag"


class _KnownKeysOnly(RequestSerializer):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            for key in data:
                if key not in self.fields:
                    raise serializers.ValidationError({key: ["Unsupported key for the experiment feature_flag input."]})
        return super().to_internal_value(data)


def _numbers_as_sent(values: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the fields have judged; a number that was sent as one keeps its form, 50 or 50.0."""
    return {
        name: data[name] if isinstance(value, float) and isinstance(data[name], int) else value
        for name, value in values.items()
    }


@extend_schema_serializer(component_name="FlagInputVariant")
class _VariantSerializer(_KnownKeysOnly):
    key = serializers.CharField(trim_whitespace=False)
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    split_percent = NumberField(required=False, allow_null=True, min_value=0, max_value=100)
    rollout_percentage = NumberField(required=False, min_value=0, max_value=100)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if values.get("split_percent") is None and "rollout_percentage" not in values:
            raise serializers.ValidationError({"rollout_percentage": ["This field is required."]}, code="required")
        return _numbers_as_sent(values, data)


@extend_schema_serializer(component_name="FlagInputMultivariate")
class _MultivariateSerializer(_KnownKeysOnly):
    variants = serializers.ListField(child=_VariantSerializer())


@extend_schema_serializer(component_name="FlagInputGroup")
class _GroupSerializer(_KnownKeysOnly):
    properties = serializers.ListField(child=serializers.DictField(), max_length=0, required=False)
    rollout_percentage = NumberField(required=False, allow_null=True, min_value=0, max_value=100)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return _numbers_as_sent(super().to_internal_value(data), data)


@extend_schema_serializer(component_name="FlagInputFilters")
class _FiltersSerializer(_KnownKeysOnly):
    multivariate = _MultivariateSerializer(required=False, allow_null=True)
    groups = serializers.ListField(child=_GroupSerializer(), max_length=1, required=False)
    payloads = serializers.DictField(
        required=False, allow_null=True, help_text="JSON text by variant; other values are stored as their JSON text."
    )
    aggregation_group_type_index = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAX_GROUP_TYPE_INDEX
    )


class _FlagSerializer(_KnownKeysOnly):
    filters = _FiltersSerializer(required=False, allow_null=True)
    ensure_experience_continuity = BooleanField(required=False, allow_null=True)


@extend_schema_serializer(component_name="ExperimentFlagInput")
class FlagInputField(_FlagSerializer):
    """Answers FlagSettings. Null, an echo of the flag as it is read, and an object without settings are skipped."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is serializers.empty or data is None or _is_echo(data):
            raise SkipField
        return _settings(super().run_validation(data))


def _is_echo(data: Any) -> bool:
    if not isinstance(data, Mapping):
        return False
    return data.get("id") is not None or not {"filters", "ensure_experience_continuity"} & data.keys()


def _settings(values: Mapping[str, Any]) -> FlagSettings:
    filters = values.get("filters") or {}
    multivariate = filters.get("multivariate")
    groups = filters.get("groups")
    payloads = filters.get("payloads", OMITTED)
    return FlagSettings(
        variants=OMITTED if multivariate is None else parse_variants(multivariate["variants"], attr=ATTR),
        rollout=groups[0].get("rollout_percentage", OMITTED) if groups else OMITTED,
        aggregation=filters.get("aggregation_group_type_index", OMITTED),
        payloads=OMITTED if payloads is OMITTED else _payload_texts(payloads or {}),
        continuity=values.get("ensure_experience_continuity", OMITTED),
    )


def _payload_texts(payloads: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else documents.dumps(value) for key, value in payloads.items()}
