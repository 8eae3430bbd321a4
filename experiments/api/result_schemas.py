"""What results and exposures look like to callers, for the OpenAPI document."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from experiments.api.document_schemas import PriorSerializer
from stats.results import Reason


def _number(**options: Any) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, **options)


class IntervalField(serializers.ListField):
    """Lower and upper bound."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True, **options)


class SampleRatioMismatchSerializer(serializers.Serializer[Any]):
    expected = serializers.DictField(child=serializers.FloatField())
    p_value = serializers.FloatField()


class BiasRiskSerializer(serializers.Serializer[Any]):
    multiple_variant_percentage = serializers.FloatField()


class ExposureSeriesSerializer(serializers.Serializer[Any]):
    variant = serializers.CharField(help_text="`$multiple`: units that saw several variants.")
    days = serializers.ListField(child=serializers.DateField())
    exposure_counts = serializers.ListField(child=serializers.IntegerField(), help_text="Cumulative.")


class DateRangeSerializer(serializers.Serializer[Any]):
    date_from = serializers.DateTimeField(allow_null=True, help_text="Null where exposures without a start were asked.")
    date_to = serializers.DateTimeField()
    explicitDate = serializers.BooleanField()


class FindingSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(
        choices=[
            "srm",
            "no_exposures",
            "flag_inactive",
            "flag_deleted",
            "no_metrics",
            "multiple_variants",
            "low_power",
        ]
    )
    severity = serializers.ChoiceField(choices=["info", "warning", "error"])
    message = serializers.CharField(help_text="For people.")
    data = serializers.DictField(  # type: ignore[assignment]  # a field of that name, not the serializer's property
        help_text="The figures behind it."
    )


@extend_schema_serializer(component_name="Exposures")
class ExposuresSerializer(serializers.Serializer[Any]):
    timeseries = ExposureSeriesSerializer(many=True)
    total_exposures = serializers.DictField(child=serializers.IntegerField())
    date_range = DateRangeSerializer()
    sample_ratio_mismatch = SampleRatioMismatchSerializer(allow_null=True)
    bias_risk = BiasRiskSerializer(allow_null=True)
    warnings = FindingSerializer(many=True)


class EnvelopeSerializer(serializers.Serializer[Any]):
    """What an answer that may be stored says of its freshness."""

    cache_key = serializers.CharField()
    is_cached = serializers.BooleanField()
    last_refresh = serializers.DateTimeField()
    cache_target_age = serializers.DateTimeField(help_text="When the answer stops being fresh.")
    next_allowed_client_refresh = serializers.DateTimeField()
    timezone = serializers.CharField()


@extend_schema_serializer(component_name="ExperimentExposures")
class ExperimentExposuresSerializer(ExposuresSerializer, EnvelopeSerializer):
    kind = serializers.ChoiceField(choices=["ExperimentExposureQuery"])


class WindowSerializer(serializers.Serializer[Any]):
    date_from = serializers.DateTimeField()
    date_to = serializers.DateTimeField()
    timezone = serializers.CharField()
    closed = serializers.BooleanField(help_text="Whether the experiment has ended.")


class SequentialSettingsSerializer(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()
    tuning_parameter = serializers.FloatField()


class CupedSettingsSerializer(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()
    lookback_days = serializers.IntegerField()


class ResultSettingsSerializer(serializers.Serializer[Any]):
    method = serializers.ChoiceField(choices=["bayesian", "frequentist"])
    baseline_variant_key = serializers.CharField()
    difference_type = serializers.ChoiceField(choices=["RELATIVE", "ABSOLUTE"])
    alpha = _number()
    ci_level = _number()
    prior = PriorSerializer(allow_null=True)
    sequential = SequentialSettingsSerializer()
    cuped = CupedSettingsSerializer()
    multiplicity = serializers.ChoiceField(choices=["none", "holm", "benjamini_hochberg"])
    multiple_variant_handling = serializers.ChoiceField(choices=["exclude", "first_seen"])
    only_count_matured_users = serializers.BooleanField()
    excluded_variants = serializers.ListField(child=serializers.CharField())


class CrossProductsSerializer(serializers.Serializer[Any]):
    numerator_covariate_numerator = _number()
    denominator_covariate_denominator = _number()
    covariate_numerator_covariate_denominator = _number()
    numerator_covariate_denominator = _number()
    denominator_covariate_numerator = _number()


class StepSessionSerializer(serializers.Serializer[Any]):
    person_id = serializers.UUIDField()
    session_id = serializers.CharField(allow_null=True)
    event_uuid = serializers.UUIDField()
    timestamp = serializers.DateTimeField()


class ArmSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    number_of_samples = serializers.IntegerField(help_text="Units.")
    sum = _number()
    sum_squares = _number()
    denominator_sum = _number(required=False)
    denominator_sum_squares = _number(required=False)
    numerator_denominator_sum_product = _number(required=False)
    covariate_sum = _number(required=False)
    covariate_sum_squares = _number(required=False)
    covariate_sum_product = _number(required=False)
    covariate_denominator_sum = _number(required=False)
    covariate_denominator_sum_squares = _number(required=False)
    cross_products = CrossProductsSerializer(required=False)
    step_counts = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="Units that reached at least each step."
    )
    step_sessions = serializers.ListField(
        child=StepSessionSerializer(many=True),
        required=False,
        help_text="Funnels, query endpoint only: some units whose furthest step is each step; first those that were "
        "only exposed.",
    )
    validation_failures = serializers.ListField(
        child=serializers.ChoiceField(choices=list(get_args(Reason))), help_text="Why statistics are missing."
    )


class ExpectedLossSerializer(serializers.Serializer[Any]):
    treatment = serializers.FloatField()
    control = serializers.FloatField()


class TreatmentSerializer(ArmSerializer):
    method = serializers.ChoiceField(choices=["bayesian", "frequentist"])
    effect = _number()
    standard_error = _number()
    degrees_of_freedom = _number(required=False)
    p_value = _number(required=False)
    confidence_interval = IntervalField(required=False)
    chance_to_win = _number(required=False, help_text="The probability that the variant is above the baseline.")
    credible_interval = IntervalField(required=False)
    expected_loss = ExpectedLossSerializer(required=False, allow_null=True)
    significant = serializers.BooleanField(allow_null=True)
    interval_excludes_zero = serializers.BooleanField(allow_null=True)
    favourable = serializers.BooleanField(allow_null=True)
    variance_reduction = _number()
    p_value_adjusted = _number(required=False)
    confidence_interval_adjusted = IntervalField(required=False)


class BreakdownResultSerializer(serializers.Serializer[Any]):
    breakdown_value = serializers.ListField(child=serializers.CharField())
    baseline = ArmSerializer()
    variants = TreatmentSerializer(many=True)
    sample_ratio_mismatch = SampleRatioMismatchSerializer(allow_null=True)


class MetricResultSerializer(serializers.Serializer[Any]):
    baseline = ArmSerializer()
    variant_results = TreatmentSerializer(many=True)
    breakdown_results = BreakdownResultSerializer(many=True, allow_null=True)
    is_precomputed = serializers.BooleanField()
    warnings = FindingSerializer(many=True)


class MetricErrorSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(
        choices=[
            "data-warehouse-not-connected",
            "action-not-found",
            "unsupported-property-filter",
            "invalid-metric",
            "query-timeout",
            "events-expired",
        ]
    )
    message = serializers.CharField()


class MetricOutcomeSerializer(serializers.Serializer[Any]):
    uuid = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    metric_type = serializers.ChoiceField(choices=["mean", "funnel", "ratio", "retention"])
    goal = serializers.ChoiceField(choices=["increase", "decrease"])
    role = serializers.ChoiceField(choices=["primary", "secondary"])
    saved_metric_id = serializers.IntegerField(allow_null=True)
    fingerprint = serializers.CharField(allow_null=True)
    error = MetricErrorSerializer(allow_null=True)
    result = MetricResultSerializer(allow_null=True)


@extend_schema_serializer(component_name="ExperimentResults")
class ExperimentResultsSerializer(serializers.Serializer[Any]):
    experiment_id = serializers.IntegerField()
    as_of = serializers.DateTimeField(help_text="The end of the data behind all numbers of the answer.")
    window = WindowSerializer()
    is_cached = serializers.BooleanField()
    computed_at = serializers.DateTimeField()
    fresh_until = serializers.DateTimeField()
    settings = ResultSettingsSerializer()
    exposures = ExposuresSerializer()
    health = FindingSerializer(many=True)
    metrics = MetricOutcomeSerializer(many=True)


@extend_schema_serializer(component_name="ExperimentQueryResponse")
class ExperimentQueryResponseSerializer(MetricResultSerializer, EnvelopeSerializer):
    kind = serializers.ChoiceField(choices=["ExperimentQuery"])


@extend_schema_serializer(component_name="NothingStored")
class NothingStoredSerializer(serializers.Serializer[Any]):
    """With `force_cache`, where nothing has been computed yet."""

    results = serializers.CharField(allow_null=True, max_length=0)
    cache_key = serializers.CharField()
    is_cached = serializers.BooleanField()
    last_refresh = serializers.DateTimeField(allow_null=True)
    cache_target_age = serializers.DateTimeField(allow_null=True)
    next_allowed_client_refresh = serializers.DateTimeField(allow_null=True)
    timezone = serializers.CharField()
