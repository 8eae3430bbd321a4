"""Exposure criteria: whom an experiment counts as having seen it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from common.errors import Invalid
from common.property_filters import PropertyFilters
from common.shapes import Shape, listed, problems
from experiments.metrics.nodes import ActionsNode, with_listed_properties

ATTR = "exposure_criteria"
_MAX_SHOWN = 80
_HANDLINGS = ["exclude", "first_seen"]
_HINT = (
    "Expected either an event-based config like {'kind': 'ExperimentEventExposureConfig', 'event': '<event_name>', "
    "'properties': []} or an action-based config like {'kind': 'ActionsNode', 'id': <action_id>}."
)


class EventExposureConfig(Shape):
    """Exposure by an event of one name."""

    kind: Literal["ExperimentEventExposureConfig"]
    event: str
    properties: PropertyFilters


_CONFIGS: Mapping[str, type[Shape]] = {
    "ExperimentEventExposureConfig": EventExposureConfig,
    "ActionsNode": ActionsNode,
}
_CONFIG_NAMES = ("exposure_config", "activation_config")


def parse(value: Any, *, creating: bool) -> dict[str, Any] | None:
    """The criteria in the form they are stored in: as sent, but each config bears its `kind`.

    A new experiment leaves test accounts out unless told otherwise. Raises Invalid; whether actions exist is not
    asked here.
    """
    if value is None:
        return {"filterTestAccounts": True} if creating else None
    if not isinstance(value, dict):
        raise _refusal(
            f"exposure_criteria must be an object, got {_type(value)}. "
            "Expected shape: {'filterTestAccounts': <bool>, 'exposure_config': <object>}."
        )
    criteria = dict(value)
    if creating and criteria.get("filterTestAccounts") is None:
        criteria["filterTestAccounts"] = True
    if "filterTestAccounts" in criteria and not isinstance(criteria["filterTestAccounts"], bool):
        sent = criteria["filterTestAccounts"]
        raise _refusal(f"exposure_criteria.filterTestAccounts must be a boolean, got {_type(sent)}: {_shown(sent)}.")
    for name in _CONFIG_NAMES:
        if name in criteria:
            criteria[name] = _config(criteria[name], f"exposure_criteria.{name}")
    if "multiple_variant_handling" in criteria and criteria["multiple_variant_handling"] not in _HANDLINGS:
        sent = criteria["multiple_variant_handling"]
        raise _refusal(f"exposure_criteria.multiple_variant_handling must be one of {_HANDLINGS}, got {_shown(sent)}.")
    return criteria


def action_ids(criteria: Mapping[str, Any] | None) -> set[int]:
    """The actions that stored criteria refer to."""
    configs = (criteria[name] for name in _CONFIG_NAMES if name in criteria) if criteria else ()
    return {config["id"] for config in configs if config["kind"] == "ActionsNode"}


def _config(sent: Any, path: str) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise _refusal(f"{path} must be an object, got {_type(sent)}. {_HINT}")
    implied = "ActionsNode" if "id" in sent else "ExperimentEventExposureConfig"
    config = with_listed_properties(sent if "kind" in sent else {"kind": implied, **sent})
    kind = config["kind"]
    shape = _CONFIGS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise _refusal(f"{path}.kind must be one of {list(_CONFIGS)}, got {_shown(kind)}. {_HINT}")
    try:
        shape.model_validate(config)
    except ValidationError as error:
        raise _refusal(f"Invalid {path} (kind={_shown(kind)}): {listed(problems(error))}. {_HINT}") from None
    return config


def _refusal(text: str) -> Invalid:
    return Invalid(text, attr=ATTR)


def _type(value: Any) -> str:
    return type(value).__name__


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...(truncated)"
