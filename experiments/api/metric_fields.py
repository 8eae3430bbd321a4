"""Metrics and exposure configurations as fields, for the OpenAPI document."""

from typing import Annotated, Any

from pydantic import Field
from rest_framework import serializers

from common.api.shape_field import ShapeField
from common.api.shape_schemas import named
from experiments.exposure_criteria import EventExposureConfig
from experiments.metrics import Metric
from experiments.metrics.nodes import ActionsNode

_METRIC = named("ExperimentMetric", Metric)
_EXPOSURE_CONFIG = named("ExposureConfig", Annotated[EventExposureConfig | ActionsNode, Field(discriminator="kind")])


class MetricField(ShapeField):
    """One metric."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_METRIC, **options)


class MetricListField(serializers.ListField):
    """A list of metrics."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=MetricField(), **options)


class ExposureConfigField(ShapeField):
    """What event or action counts as an exposure."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_EXPOSURE_CONFIG, **options)
