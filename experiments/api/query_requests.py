"""The body of a question, read into values of the domain. Keys that say nothing here are let pass."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.fields import DateTimeField, NumberField
from common.api.serializers import ParsedField, RequestSerializer
from common.errors import Invalid
from experiments.api.document_schemas import ExposureCriteriaSerializer
from experiments.api.metric_fields import MetricField
from experiments.results.query import ExposureQuestion, Freshness
from feature_flags.validation.structure import MAX_GROUP_TYPE_INDEX

MAX_VARIANTS = 100
# The modes that clients of other services know; all answers come within the request.
REFRESH_MODES: Mapping[str | bool, Freshness] = {
    "blocking": Freshness.FRESH,
    "async": Freshness.FRESH,
    "lazy_async": Freshness.FRESH,
    "async_except_on_cache_miss": Freshness.FRESH,
    False: Freshness.FRESH,
    "force_blocking": Freshness.COMPUTED_NOW,
    "force_async": Freshness.COMPUTED_NOW,
    True: Freshness.COMPUTED_NOW,
    "force_cache": Freshness.STORED,
}


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "enum": [mode for mode in REFRESH_MODES if isinstance(mode, str)]},
            {"type": "boolean"},
        ],
        "nullable": True,
        "description": "Whether a stored answer will do: `true` and `force_*` compute anew, `force_cache` never.",
    }
)
class RefreshField(serializers.Field[Any, Any, Any, Any]):
    """A mode, or a boolean; null is the default."""

    default_error_messages = {"invalid_choice": '"{input}" is not a valid choice.'}

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, Freshness.FRESH) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Freshness:
        # 1 and 0 are equal to true and false, and no modes.
        if not isinstance(data, str | bool) or data not in REFRESH_MODES:
            self.fail("invalid_choice", input=data)
        return REFRESH_MODES[data]


def _as_sent(described_by: Any) -> ParsedField:
    """A value that the domain judges, or nobody."""
    return ParsedField(lambda value: value, described_by=described_by)


class _ExperimentIdField(serializers.IntegerField):
    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if data is serializers.empty or data is None:
            raise Invalid("experiment_id is required")
        return False, data


class _Question(RequestSerializer):
    experiment_id = _ExperimentIdField()


@extend_schema_serializer(component_name="ExperimentQuery")
class MetricQuestion(_Question):
    kind = serializers.ChoiceField(choices=["ExperimentQuery"])
    metric = _as_sent(MetricField(help_text="Required. It need not be one of the experiment's."))
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    precomputation_mode = serializers.ChoiceField(
        choices=["precomputed", "direct"],
        required=False,
        allow_null=True,
        help_text="`direct`: from raw events; `precomputed`: from what is kept of them, where possible.",
    )

    def question(self) -> dict[str, Any]:
        values = self.read()
        return {
            "experiment_id": values["experiment_id"],
            "document": values.get("metric"),
            "mode": values.get("precomputation_mode"),
        }


@extend_schema_serializer(component_name="QueriedVariant")
class _VariantSerializer(RequestSerializer):
    key = serializers.CharField(trim_whitespace=False)
    rollout_percentage = NumberField(min_value=0, max_value=100)


@extend_schema_serializer(component_name="QueriedMultivariate")
class _MultivariateSerializer(RequestSerializer):
    variants = serializers.ListField(child=_VariantSerializer(), max_length=MAX_VARIANTS)


@extend_schema_serializer(component_name="QueriedFilters")
class _FiltersSerializer(RequestSerializer):
    multivariate = _MultivariateSerializer(required=False, allow_null=True)
    aggregation_group_type_index = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAX_GROUP_TYPE_INDEX
    )


@extend_schema_serializer(component_name="QueriedFlag")
class _FlagSerializer(RequestSerializer):
    key = serializers.CharField(trim_whitespace=False)
    filters = _FiltersSerializer()


@extend_schema_serializer(component_name="ExperimentExposureQuery")
class ExposuresQuestion(_Question):
    kind = serializers.ChoiceField(choices=["ExperimentExposureQuery"])
    experiment_name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    exposure_criteria = _as_sent(ExposureCriteriaSerializer(required=False, allow_null=True))
    feature_flag = _FlagSerializer()
    start_date = DateTimeField(required=False, allow_null=True, help_text="Null: nothing is counted.")
    end_date = DateTimeField(required=False, allow_null=True, help_text="Null: now.")
    holdout = _as_sent(serializers.DictField(required=False, allow_null=True, help_text="Without effect."))

    def question(self) -> dict[str, Any]:
        values = self.read()
        filters = values["feature_flag"]["filters"]
        return {
            "experiment_id": values["experiment_id"],
            "question": ExposureQuestion(
                flag_key=values["feature_flag"]["key"],
                variants=(filters.get("multivariate") or {}).get("variants", ()),
                unit_group=filters.get("aggregation_group_type_index"),
                criteria=values.get("exposure_criteria"),
                start=values.get("start_date"),
                end=values.get("end_date"),
            ),
        }


KINDS: Mapping[str, type[MetricQuestion | ExposuresQuestion]] = {
    "ExperimentQuery": MetricQuestion,
    "ExperimentExposureQuery": ExposuresQuestion,
}
_MAX_SHOWN = 100


@extend_schema_field(PolymorphicProxySerializer("Question", dict(KINDS), "kind"))
class QueryField(serializers.DictField):
    """A question of one of the kinds, read into the arguments of the function that answers it."""

    default_error_messages = {
        "unsupported_kind": f"Unsupported query kind: '{{kind}}'. Must be one of: {', '.join(KINDS)}."
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        super().to_internal_value(data)
        if "kind" not in data:
            raise serializers.ValidationError({"kind": [self.error_messages["required"]]}, code="required")
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            text = self.error_messages["unsupported_kind"].format(kind=str(kind)[:_MAX_SHOWN])
            raise serializers.ValidationError({"kind": [text]}, code="invalid_input")
        return KINDS[kind](data=data).question()


class QueryRequest(RequestSerializer):
    query = QueryField()
    refresh = RefreshField(required=False)
    client_query_id = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="A name of the caller's for the request."
    )
