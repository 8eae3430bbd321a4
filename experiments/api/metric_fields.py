"""Metrics and exposure configurations as fields, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers


class MetricField(serializers.DictField):
    """One metric."""


class MetricListField(serializers.ListField):
    """A list of metrics."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=MetricField(), **options)


class ExposureConfigField(serializers.DictField):
    """What event or action counts as an exposure."""
