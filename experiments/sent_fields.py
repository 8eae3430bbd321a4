"""Validated fields of a request as JSON again: read once more, they come to the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.datetimes import format_datetime
from experiments import parameters
from experiments.flag_config import OMITTED, FlagSettings
from experiments.parameters import Parameters


def as_sent(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as a caller would send them."""
    return {name: _as_sent(value) for name, value in fields.items()}


def _as_sent(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_datetime(value)
    if isinstance(value, Parameters):
        return _parameters(value)
    if isinstance(value, FlagSettings):
        return _flag_settings(value)
    return value


def _parameters(sent: Parameters) -> dict[str, Any]:
    excluded = {} if sent.excluded_variants is None else {parameters.EXCLUDED: sent.excluded_variants}
    return {**sent.document, **sent.running_time_calculation, **excluded}


def _flag_settings(settings: FlagSettings) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    if settings.variants is not OMITTED:
        filters["multivariate"] = {"variants": settings.variants}
    if settings.rollout is not OMITTED:
        filters["groups"] = [{"properties": [], "rollout_percentage": settings.rollout}]
    if settings.payloads is not OMITTED:
        filters["payloads"] = settings.payloads
    if settings.aggregation is not OMITTED:
        filters["aggregation_group_type_index"] = settings.aggregation
    sent: dict[str, Any] = {"filters": filters}
    if settings.continuity is not OMITTED:
        sent["ensure_experience_continuity"] = settings.continuity
    return sent
