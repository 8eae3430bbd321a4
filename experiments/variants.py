"""The variants of an experiment as clients send them: brought to one form, then judged."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.errors import Invalid
from feature_flags.eligibility import CONTROL, MAX_VARIANTS, MIN_VARIANTS
from feature_flags.validation.variants import sums_to_100

TOO_FEW = "Feature flag must have at least 2 variants (control and at least one test variant)"
NO_CONTROL = f"Feature flag must have a variant with key '{CONTROL}'"
TOO_MANY = f"Feature flag variants must be less than {MAX_VARIANTS + 1}"

DEFAULT_VARIANTS: tuple[Mapping[str, Any], ...] = (
    {"key": CONTROL, "name": "Control Group", "rollout_percentage": 50},
    {"key": "test", "name": "Test Variant", "rollout_percentage": 50},
)


def default_variants() -> list[dict[str, Any]]:
    """The two variants of an experiment that names none."""
    return [dict(variant) for variant in DEFAULT_VARIANTS]


def parse_variants(sent: Any, *, attr: str) -> list[dict[str, Any]]:
    """The variants as they are stored; an empty list means the default ones.

    `split_percent` becomes `rollout_percentage`, and the only key that is `control` but for its case becomes it.
    Raises Invalid with `attr` for the first broken rule. Whether the weights are complete is asked separately
    (`check_weights`), when the flag is written.
    """
    if not isinstance(sent, list):
        raise Invalid("Feature flag variants must be a list", attr=attr)
    if not sent:
        return default_variants()
    for position, variant in enumerate(sent):
        if not isinstance(variant, dict):
            raise Invalid(f"Feature flag variant at index {position} must be an object", attr=attr)
    variants = _with_control_spelled([_with_one_percentage(variant) for variant in sent])
    for text, holds in _RULES:
        for position, variant in enumerate(variants):
            if not holds(variant):
                raise Invalid(text.format(index=position), attr=attr)
    keys = [variant["key"] for variant in variants]
    if len(keys) > MAX_VARIANTS:
        raise Invalid(TOO_MANY, attr=attr)
    if len(keys) < MIN_VARIANTS:
        raise Invalid(TOO_FEW, attr=attr)
    if CONTROL not in keys:
        raise Invalid(
            f"Feature flag variants must contain a variant with key 'control' (lowercase, exactly). Got keys: {keys}. "
            "Rename the baseline variant's 'key' to 'control'.",
            attr=attr,
        )
    return variants


def _with_one_percentage(variant: Mapping[str, Any]) -> dict[str, Any]:
    parsed = {name: value for name, value in variant.items() if name != "split_percent"}
    split = variant.get("split_percent")
    return parsed if split is None else {**parsed, "rollout_percentage": split}


def _has_key(variant: Mapping[str, Any]) -> bool:
    key = variant.get("key")
    return isinstance(key, str) and key.strip() != ""


def is_percentage(value: Any) -> bool:
    """Whether the value is a number from 0 to 100; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100


# Each is asked of all variants before the next one is.
_RULES: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("Feature flag variant at index {index} must have a 'key' field", _has_key),
    (
        "Feature flag variant at index {index} must have a string name",
        lambda variant: isinstance(variant.get("name"), str | None),
    ),
    (
        "Each variant must include split_percent (recommended) or rollout_percentage (deprecated).",
        lambda variant: variant.get("rollout_percentage") is not None,
    ),
    (
        "Feature flag variant at index {index} must have a rollout_percentage between 0 and 100",
        lambda variant: is_percentage(variant["rollout_percentage"]),
    ),
)


def _with_control_spelled(variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = [variant.get("key") for variant in variants]
    alike = [key for key in keys if isinstance(key, str) and key.lower() == CONTROL]
    if CONTROL in keys or len(alike) != 1:
        return variants
    return [{**variant, "key": CONTROL} if variant.get("key") == alike[0] else variant for variant in variants]


def check_weights(variants: Sequence[Mapping[str, Any]]) -> None:
    """Raise Invalid unless the variants' percentages sum to 100 (within 0.01)."""
    if not sums_to_100(sum(variant["rollout_percentage"] for variant in variants)):
        raise Invalid("Invalid variant definitions: Variant rollout percentages must sum to 100.", attr="filters")


def check_flag_variants(keys: Sequence[str]) -> None:
    """Raise Invalid unless a flag with these variant keys can carry an experiment."""
    if len(keys) < MIN_VARIANTS:
        raise Invalid(TOO_FEW)
    if CONTROL not in keys:
        raise Invalid(NO_CONTROL)


def with_split_percent(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The variants as they are read: each also with its percentage as `split_percent`."""
    return [{**variant, "split_percent": variant["rollout_percentage"]} for variant in variants]
