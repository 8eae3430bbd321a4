"""`stats_config`: how an experiment's results are inferred."""

from collections.abc import Collection, Mapping
from typing import Any

from common.errors import Invalid
from feature_flags.eligibility import CONTROL
from projects.models import Project, StatsMethod

METHODS = tuple(StatsMethod.values)
MULTIPLICITIES = ("none", "holm", "benjamini_hochberg")
BUILT_IN_CONFIDENCE_LEVEL = 0.95
BUILT_IN_LOOKBACK_DAYS = 14
BUILT_IN_TUNING_PARAMETER = 5000


def parse(sent: Any) -> dict[str, Any] | None:
    """The field as it is stored. Raises Invalid for anything but an object or null."""
    if sent is not None and not isinstance(sent, dict):
        raise Invalid("stats_config must be an object", attr="stats_config")
    return sent


def check(config: Mapping[str, Any] | None, *, variants: Collection[str]) -> None:
    """Raise Invalid for a method, a multiplicity correction or a baseline that does not exist."""
    config = config or {}
    method, multiplicity, key = (config.get(name) for name in ("method", "multiplicity", "baseline_variant_key"))
    if method is not None and method not in METHODS:
        raise Invalid(f"Invalid stats method: '{method}'. Must be one of: {', '.join(METHODS)}")
    if multiplicity is not None and multiplicity not in MULTIPLICITIES:
        raise Invalid(f"Invalid multiplicity: '{multiplicity}'. Must be one of: {', '.join(MULTIPLICITIES)}")
    if key is not None and key not in variants:
        raise Invalid(f"Invalid baseline_variant_key: '{key}'. Must be one of: {', '.join(sorted(variants))}")


def method(config: Mapping[str, Any] | None) -> str:
    """The method in force."""
    chosen: str = (config or {}).get("method") or StatsMethod.BAYESIAN.value
    return chosen


def baseline(config: Mapping[str, Any] | None) -> str:
    """The key of the variant that the others are compared with."""
    key: str = (config or {}).get("baseline_variant_key") or CONTROL
    return key


def with_project_defaults(sent: Mapping[str, Any] | None, *, project: Project) -> dict[str, Any]:
    """The configuration of a new experiment: where a key is absent, the project's default if it is not the built-in.

    The method is always written. Later changes of the project's defaults touch no existing experiment.
    """
    config = dict(sent or {})
    if config.get("method") is None:
        config["method"] = project.default_experiment_stats_method
    level = project.default_experiment_confidence_level
    if level != BUILT_IN_CONFIDENCE_LEVEL:
        _default(config, "bayesian", "ci_level", level)
        _default(config, "frequentist", "alpha", round(1 - level, 10))
    if project.default_cuped_enabled:
        _default(config, "cuped", "enabled", True)
    if project.default_cuped_lookback_days != BUILT_IN_LOOKBACK_DAYS:
        _default(config, "cuped", "lookback_days", project.default_cuped_lookback_days)
    if project.default_sequential_testing_enabled:
        _default(config, "frequentist", "sequential_testing_enabled", True)
    if project.default_sequential_tuning_parameter != BUILT_IN_TUNING_PARAMETER:
        _default(config, "frequentist", "sequential_tuning_parameter", project.default_sequential_tuning_parameter)
    return config


def _default(config: dict[str, Any], section: str, key: str, value: Any) -> None:
    present = config.get(section)
    if present is None:
        config[section] = {key: value}
    elif isinstance(present, dict) and key not in present:
        config[section] = {**present, key: value}
