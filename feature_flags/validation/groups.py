"""The condition sets (groups) of a flag."""

from collections.abc import Mapping
from typing import Any

from common.errors import Invalid
from feature_flags.validation.variants import variant_keys


def check_groups(filters: Mapping[str, Any]) -> None:
    """Raise Invalid when a group is to answer with a variant that the flag does not have."""
    keys = variant_keys(filters)
    for group in filters.get("groups", []):
        variant = group.get("variant")
        if variant and variant not in keys:
            raise Invalid(f"Variant override '{variant}' does not match any variant key.", attr="filters")


def require_a_group(filters: Mapping[str, Any]) -> None:
    """Raise Invalid when filters sent for a new flag hold no group: it would match nobody without saying so."""
    if not filters.get("groups"):
        raise Invalid("Feature flags must have at least one condition set (group).", attr="filters")


def for_remote_configuration(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters of a flag that only carries a payload: everybody gets it, so a group without rollout is at 100."""
    groups = filters.get("groups") or [{"properties": []}]
    opened = [group if group.get("rollout_percentage") else {**group, "rollout_percentage": 100} for group in groups]
    return {**filters, "groups": opened}


def first_rollout(filters: Mapping[str, Any]) -> int | float | None:
    """The rollout percentage of the first group; None without a group, 100 where it is left open."""
    groups = filters.get("groups", [])
    if not groups:
        return None
    rollout: int | float | None = groups[0].get("rollout_percentage")
    return 100 if rollout is None else rollout
