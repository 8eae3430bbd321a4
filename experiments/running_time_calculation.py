"""What the running time calculator was asked and answered, kept with the experiment."""

from collections.abc import Mapping
from typing import Any

from common.errors import Invalid

NUMBERS = ("minimum_detectable_effect", "recommended_running_time", "recommended_sample_size")
EXPOSURE_ESTIMATE = "exposure_estimate_config"
KEYS = frozenset({*NUMBERS, EXPOSURE_ESTIMATE})
_FIELD = "running_time_calculation"


def parse_running_time_calculation(sent: Any) -> dict[str, Any]:
    """The field as it is stored; null means `{}`. Raises Invalid for an unknown key or a value of the wrong type."""
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise Invalid(f"{_FIELD} must be an object", attr=_FIELD)
    unknown = sorted(sent.keys() - KEYS)
    if unknown:
        raise Invalid(f"{_FIELD} got unknown keys: {unknown}", attr=_FIELD)
    check_values(sent, attr=_FIELD)
    return sent


def check_values(values: Mapping[str, Any], *, attr: str) -> None:
    """Raise Invalid with `attr` for a known key whose value has the wrong type; other keys are not looked at."""
    for key in NUMBERS:
        value = values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Invalid(f"{key} must be a number", attr=attr)
    estimate = values.get(EXPOSURE_ESTIMATE)
    if estimate is not None and not isinstance(estimate, dict):
        raise Invalid(f"{EXPOSURE_ESTIMATE} must be an object", attr=attr)
