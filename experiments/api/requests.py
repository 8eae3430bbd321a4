"""The bodies of experiment requests, read into values of the domain. Fields are judged in the order they stand in."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api.fields import BooleanField, DateTimeField, NumberField
from common.api.serializers import ParsedField, RequestSerializer
from common.documents import same_document
from common.errors import Invalid
from experiments.api import schemas
from experiments.api.document_schemas import (
    ExposureCriteriaSerializer,
    ParametersSerializer,
    RunningTimeCalculationSerializer,
    SchedulingConfigSerializer,
    StatsConfigSerializer,
)
from experiments.api.flag_input import FlagInputField
from experiments.api.metric_fields import MetricListField
from experiments.excluded_variants import parse as parse_excluded_variants
from experiments.exposure_criteria import parse as parse_exposure_criteria
from experiments.metrics import refuse_legacy
from experiments.models import Conclusion, Experiment, ExperimentHoldout, ExperimentType
from experiments.ordering import parse_order
from experiments.parameters import parse_parameters
from experiments.running_time_calculation import parse_running_time_calculation
from experiments.stats_config import parse as parse_stats_config
from projects.access import parse_id
from stats.power import SizedMetric


class FalseIfNullField(BooleanField):
    """A boolean for which null means false."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return False if data is None else super().run_validation(data)


class ParametersField(ParsedField):
    """As they were read, parameters say nothing: the flag may have moved away from what they keep of it.

    Not so beside `update_feature_flag_params`, which asks for them to be written there.
    """

    def __init__(self, **options: Any) -> None:
        described_by = ParametersSerializer(
            required=False, allow_null=True, help_text="Replaces the stored parameters as a whole."
        )
        super().__init__(parse_parameters, described_by=described_by, **options)

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        sent = super().get_value(dictionary)
        experiment: Experiment | None = self.context.get("experiment")
        is_echo = experiment is not None and same_document(sent, experiment.shown_parameters)
        return serializers.empty if is_echo and "update_feature_flag_params" not in dictionary else sent


@extend_schema_field(OpenApiTypes.INT64)
class HoldoutIdField(serializers.Field[Any, Any, Any, Any]):
    """The id of a holdout of the project; numeric text is taken too.

    Beside `holdout`, as the two are read, the present one says nothing; alone it is written into a draft's flag.
    """

    default_error_messages = {
        "does_not_exist": 'Invalid pk "{id}" - object does not exist.',
        "incorrect_type": "Incorrect type. Expected pk value, received {type}.",
    }

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        sent = super().get_value(dictionary)
        experiment: Experiment | None = self.context.get("experiment")
        shown = dictionary.get("holdout")
        if experiment is None or not isinstance(shown, Mapping):
            return sent
        present = experiment.holdout_id
        return serializers.empty if same_document([sent, shown.get("id")], [present, present]) else sent

    def to_internal_value(self, data: Any) -> int:
        if (
            isinstance(data, bool)
            or not isinstance(data, int | str)
            or (isinstance(data, str) and not data.isdecimal())
        ):
            self.fail("incorrect_type", type=type(data).__name__)
        number = parse_id(str(data))
        holdouts = ExperimentHoldout.objects.filter(project=self.context["project"])
        if number is None or not holdouts.filter(pk=number).exists():
            self.fail("does_not_exist", id=data)
        return number


class ExposureCriteriaField(ParsedField):
    """On creation test accounts are left out unless the criteria say otherwise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(self._parse, described_by=ExposureCriteriaSerializer(allow_null=True), **options)

    def _parse(self, value: Any) -> dict[str, Any] | None:
        return parse_exposure_criteria(value, creating=not self.root.partial)


def _object(name: str) -> Any:
    def parse(value: Any) -> dict[str, Any] | None:
        if value is not None and not isinstance(value, dict):
            raise Invalid(f"{name} must be an object", attr=name)
        return value

    return parse


def _filters(value: Any) -> dict[str, Any]:
    if value is None:
        raise serializers.ValidationError("This field may not be null.", code="null")
    parsed: dict[str, Any] = _object("filters")(value)
    return parsed


def _scheduling_config(value: Any) -> dict[str, Any] | None:
    config: dict[str, Any] | None = _object("scheduling_config")(value)
    if config is not None and not isinstance(config.get("timeseries", False), bool):
        raise Invalid("scheduling_config.timeseries must be a boolean", attr="scheduling_config")
    return config


def _order(name: str) -> Any:
    return lambda value: parse_order(value, attr=name)


def _texts(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(), allow_null=True, **options)


def _as_sent(value: Any) -> Any:
    """Judged later: what it says depends on the experiment."""
    return value


class ExperimentRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH. `context` holds the project, and the experiment that is to be changed."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(max_length=3000, required=False, allow_null=True, allow_blank=True)
    start_date = DateTimeField(required=False, allow_null=True)
    end_date = DateTimeField(required=False, allow_null=True)
    feature_flag_key = serializers.CharField()
    feature_flag = FlagInputField(
        required=False,
        allow_null=True,
        help_text="Settings of the feature flag; they win over the same settings in `parameters`.",
    )
    holdout_id = HoldoutIdField(required=False, allow_null=True)
    parameters = ParametersField()
    running_time_calculation = ParsedField(
        parse_running_time_calculation,
        described_by=RunningTimeCalculationSerializer(required=False, allow_null=True),
    )
    excluded_variants = ParsedField(
        parse_excluded_variants,
        described_by=_texts(help_text="Variants left out of the analysis; the baseline cannot be."),
    )
    secondary_metrics = ParsedField(
        refuse_legacy,
        described_by=serializers.ListField(
            child=serializers.DictField(), allow_null=True, help_text="Stored, never computed."
        ),
    )
    saved_metrics_ids = ParsedField(
        _as_sent,
        described_by=serializers.ListField(
            child=schemas.SavedMetricLinkSerializer(),
            allow_null=True,
            help_text="The full new set of linked saved metrics; null or empty removes all links.",
        ),
    )
    filters = ParsedField(_filters, described_by=serializers.DictField(help_text="A document of the caller's own."))
    archived = BooleanField(required=False)
    deleted = FalseIfNullField(required=False)
    type = serializers.ChoiceField(choices=ExperimentType.choices, required=False, allow_null=True)
    exposure_criteria = ExposureCriteriaField()
    metrics = ParsedField(_as_sent, described_by=MetricListField(allow_null=True, help_text="The primary metrics."))
    metrics_secondary = ParsedField(
        _as_sent, described_by=MetricListField(allow_null=True, help_text="The secondary metrics.")
    )
    stats_config = ParsedField(parse_stats_config, described_by=StatsConfigSerializer(allow_null=True))
    scheduling_config = ParsedField(_scheduling_config, described_by=SchedulingConfigSerializer(allow_null=True))
    _create_in_folder = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(max_length=4000, required=False, allow_null=True, allow_blank=True)
    primary_metrics_ordered_uuids = ParsedField(
        _order("primary_metrics_ordered_uuids"), described_by=_texts(help_text=schemas.ORDERED)
    )
    secondary_metrics_ordered_uuids = ParsedField(
        _order("secondary_metrics_ordered_uuids"), described_by=_texts(help_text=schemas.ORDERED)
    )
    exposure_preaggregation_enabled = BooleanField(required=False)
    only_count_matured_users = BooleanField(required=False)
    update_feature_flag_params = BooleanField(
        required=False,
        help_text="Whether sent variants, rollout and aggregation reach the feature flag of a launched experiment.",
    )
    allow_unknown_events = ParsedField(
        _as_sent,
        described_by=BooleanField(help_text="Has no effect: event names are not checked against stored events."),
    )


@extend_schema_serializer(component_name="ExperimentCreate")
class ExperimentCreation(ExperimentRequest):
    """Describes the body that creates an experiment."""


@extend_schema_serializer(component_name="Experiment")
class ExperimentChange(ExperimentRequest):
    """Describes the body of a change; as a component, `PatchedExperiment`."""


@extend_schema_serializer(component_name="ExperimentEndRequest")
class EndRequest(RequestSerializer):
    """What end and ship_variant may conclude."""

    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(max_length=4000, required=False, allow_null=True, allow_blank=True)


@extend_schema_serializer(component_name="ExperimentShipVariantRequest")
class ShipVariantRequest(EndRequest):
    """Which variant everybody is to get."""

    variant_key = serializers.CharField()
    release_to_everyone = BooleanField(
        required=False,
        default=True,
        help_text="true: everyone gets the variant. false: those whom the flag's conditions reach.",
    )


@extend_schema_serializer(component_name="ExperimentDuplicateRequest")
class DuplicateRequest(RequestSerializer):
    """How a copy is to be called, and the key of its flag."""

    feature_flag_key = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Absent, null or the source's own: both share one feature flag.",
    )
    name = serializers.CharField(
        max_length=400,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Absent, null or blank: the source's name with `(Copy)`.",
    )


@extend_schema_serializer(component_name="ExperimentCopyToProjectRequest")
class CopyToProjectRequest(DuplicateRequest):
    """Which project the copy is for."""

    target_team_id = serializers.IntegerField(help_text="The id of the project that gets the copy.")


@extend_schema_serializer(component_name="BaselineStats")
class BaselineStatsRequest(RequestSerializer):
    """An arm's sums, named as results name them."""

    number_of_samples = NumberField(min_value=0)
    sum = NumberField(required=False, allow_null=True)
    sum_squares = NumberField(required=False, allow_null=True)
    denominator_sum = NumberField(required=False, allow_null=True)
    denominator_sum_squares = NumberField(required=False, allow_null=True)
    numerator_denominator_sum_product = NumberField(required=False, allow_null=True)
    step_counts = serializers.ListField(child=NumberField(), required=False, allow_null=True)


@extend_schema_serializer(component_name="RunningTimeRequest")
class RunningTimeRequest(RequestSerializer):
    """What a running time is calculated from."""

    metric_type = serializers.ChoiceField(choices=get_args(SizedMetric))
    minimum_detectable_effect = NumberField(help_text="In percent of the baseline, above 0.")
    number_of_variants = serializers.IntegerField(min_value=2, required=False, default=2)
    exposure_rate_per_day = NumberField(min_value=0, required=False, allow_null=True)
    baseline_value = NumberField(required=False, allow_null=True)
    variance = NumberField(min_value=0, required=False, allow_null=True)
    baseline_stats = BaselineStatsRequest(
        required=False, allow_null=True, help_text="The sums of the baseline, in place of its value and variance."
    )


def restores(body: Mapping[str, Any]) -> bool:
    """Whether a PATCH wants the experiment not to be deleted, which lets it reach a deleted one."""
    try:
        return "deleted" in body and FalseIfNullField().run_validation(body["deleted"]) is False
    except serializers.ValidationError:
        return False


def named_rows(body: Mapping[str, Any]) -> dict[str, list[int]]:
    """The holdouts and saved metrics that a body names, as far as it can be read: they are locked first."""
    links = body.get("saved_metrics_ids")
    named = [link.get("id") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return {"holdout_ids": _ids([body.get("holdout_id")]), "saved_metric_ids": _ids(named)}


def _ids(values: Iterable[Any]) -> list[int]:
    numbers = (parse_id(str(value)) for value in values)
    return [number for number in numbers if number is not None]


def wishes(body: Mapping[str, Any]) -> dict[str, str | None]:
    """What the body of a copy wishes for it."""
    return {name: body.get(name) for name in ("feature_flag_key", "name")}
