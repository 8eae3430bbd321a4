"""The bodies of experiment requests, read into values of the domain. Fields are judged in the order they stand in."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework import serializers

from common.api.fields import BooleanField, DateTimeField
from common.api.serializers import ParsedField, RequestSerializer
from common.errors import Invalid
from experiments.api.flag_input import FlagInputField
from experiments.excluded_variants import parse as parse_excluded_variants
from experiments.exposure_criteria import parse as parse_exposure_criteria
from experiments.metrics import refuse_legacy
from experiments.models import Conclusion, ExperimentHoldout, ExperimentType
from experiments.ordering import parse_order
from experiments.parameters import parse_parameters
from experiments.running_time_calculation import parse_running_time_calculation
from experiments.stats_config import parse as parse_stats_config
from projects.access import parse_id


class FalseIfNullField(BooleanField):
    """A boolean for which null means false."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return False if data is None else super().run_validation(data)


class HoldoutIdField(serializers.Field[Any, Any, Any, Any]):
    """The id of a holdout of the project; numeric text is taken too."""

    default_error_messages = {
        "does_not_exist": 'Invalid pk "{id}" - object does not exist.',
        "incorrect_type": "Incorrect type. Expected pk value, received {type}.",
    }

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
        super().__init__(self._parse, **options)

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


def _as_sent(value: Any) -> Any:
    """Judged later: what it says depends on the experiment."""
    return value


class ExperimentRequest(RequestSerializer):
    """A creation, or with `partial` a PATCH. `context` holds the project."""

    name = serializers.CharField(max_length=400)
    description = serializers.CharField(max_length=3000, required=False, allow_null=True, allow_blank=True)
    start_date = DateTimeField(required=False, allow_null=True)
    end_date = DateTimeField(required=False, allow_null=True)
    feature_flag_key = serializers.CharField()
    feature_flag = FlagInputField(required=False)
    holdout_id = HoldoutIdField(required=False, allow_null=True)
    parameters = ParsedField(parse_parameters)
    running_time_calculation = ParsedField(parse_running_time_calculation)
    excluded_variants = ParsedField(parse_excluded_variants)
    secondary_metrics = ParsedField(refuse_legacy)
    saved_metrics_ids = ParsedField(_as_sent)
    filters = ParsedField(_filters)
    archived = BooleanField(required=False)
    deleted = FalseIfNullField(required=False)
    type = serializers.ChoiceField(choices=ExperimentType.choices, required=False, allow_null=True)
    exposure_criteria = ExposureCriteriaField()
    metrics = ParsedField(_as_sent)
    metrics_secondary = ParsedField(_as_sent)
    stats_config = ParsedField(parse_stats_config)
    scheduling_config = ParsedField(_scheduling_config)
    _create_in_folder = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(max_length=4000, required=False, allow_null=True, allow_blank=True)
    primary_metrics_ordered_uuids = ParsedField(_order("primary_metrics_ordered_uuids"))
    secondary_metrics_ordered_uuids = ParsedField(_order("secondary_metrics_ordered_uuids"))
    exposure_preaggregation_enabled = BooleanField(required=False)
    only_count_matured_users = BooleanField(required=False)
    update_feature_flag_params = BooleanField(required=False)


class EndRequest(RequestSerializer):
    """What end and ship_variant may conclude."""

    conclusion = serializers.ChoiceField(choices=Conclusion.choices, required=False, allow_null=True)
    conclusion_comment = serializers.CharField(max_length=4000, required=False, allow_null=True, allow_blank=True)


class ShipVariantRequest(EndRequest):
    """Which variant everybody is to get."""

    variant_key = serializers.CharField()
    release_to_everyone = BooleanField(required=False, default=True)


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
