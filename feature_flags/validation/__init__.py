"""The rules of a flag's `filters`. Pure: what the rules must know of other rows is handed in."""

from collections.abc import Mapping
from typing import Any

from feature_flags.validation.aggregation import with_aggregation_copied
from feature_flags.validation.groups import check_groups
from feature_flags.validation.payloads import check_payloads
from feature_flags.validation.properties import check_properties
from feature_flags.validation.structure import parse
from feature_flags.validation.variants import check_variants

__all__ = ["check", "parse", "with_aggregation_copied"]


def check(filters: Mapping[str, Any]) -> None:
    """Raise Invalid for the first rule that parsed filters break on their own, whatever else the project holds."""
    check_variants(filters)
    check_groups(filters)
    check_payloads(filters)
    check_properties(filters)
