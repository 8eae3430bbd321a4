"""Variants that users keep seeing but that the analysis leaves out."""

from collections.abc import Collection, Sequence
from typing import Any

from common.errors import Invalid

FIELD = "excluded_variants"
HOLDOUT_PREFIX = "holdout-"


def parse(sent: Any, *, attr: str = FIELD) -> list[str]:
    """The keys as they are stored, repeats dropped; null means none. Raises Invalid for anything but text."""
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(isinstance(key, str) for key in sent):
        raise Invalid(f"{FIELD} must be a list of strings", attr=attr)
    return list(dict.fromkeys(sent))


def check(excluded: Sequence[str], *, variants: Collection[str], baseline: str) -> None:
    """Raise Invalid unless baseline and at least one treatment of these variants remain in the analysis."""
    if not excluded:
        return
    holdouts = sorted(key for key in excluded if key.startswith(HOLDOUT_PREFIX))
    if holdouts:
        raise Invalid(f"cannot exclude holdout pseudo-variants: {holdouts}", attr=FIELD)
    if baseline in excluded:
        raise Invalid(f"baseline variant cannot be excluded ('{baseline}')", attr=FIELD)
    unknown = sorted(set(excluded) - set(variants))
    if unknown:
        raise Invalid(f"unknown variants for this experiment: {unknown}", attr=FIELD)
    if not set(variants) - set(excluded) - {baseline}:
        raise Invalid("at least one test variant must remain in analysis", attr=FIELD)
