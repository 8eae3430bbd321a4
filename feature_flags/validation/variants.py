"""The variants of a multivariate flag."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from common.errors import Invalid

WEIGHT_TOLERANCE = 0.01
_KEY = re.compile(r"[a-zA-Z0-9_./-]+")


def variants_of(filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variants in their order; none for a boolean flag."""
    multivariate = filters.get("multivariate") or {}
    variants: list[dict[str, Any]] = multivariate.get("variants", [])
    return variants


def variant_keys(filters: Mapping[str, Any]) -> list[str]:
    return [variant["key"] for variant in variants_of(filters)]


def sums_to_100(total: float) -> bool:
    """Whether weights are complete. Three times 33.33 is, however binary fractions add up."""
    return round(abs(total - 100), 6) <= WEIGHT_TOLERANCE


def check_variants(filters: Mapping[str, Any]) -> None:
    """Raise Invalid unless keys are well formed and unique and the weights sum to 100."""
    variants = variants_of(filters)
    if not variants:
        return
    keys = variant_keys(filters)
    for key in keys:
        if not _KEY.fullmatch(key):
            raise Invalid(
                "Only letters, numbers, hyphens (-), underscores (_), dots (.) & slashes (/) are allowed.",
                attr="filters",
            )
    repeated = sorted(key for key, times in Counter(keys).items() if times > 1)
    if repeated:
        raise Invalid(f"Variant keys must be unique, duplicated: {', '.join(repeated)}", attr="filters")
    total = sum(variant["rollout_percentage"] for variant in variants)
    if not sums_to_100(total):
        raise Invalid(
            f"multivariate.variants: Variant rollout percentages must sum to 100, got {total:g}.",
            code="cross_field.variant_rollout_sum_not_100",
            attr="filters",
        )
