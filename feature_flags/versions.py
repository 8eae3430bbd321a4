"""Edits that were begun on an older version of a flag: what may still be applied, and what conflicts."""

from collections.abc import Mapping
from typing import Any

from common.errors import Conflict, Invalid
from feature_flags import encryption
from feature_flags.models import FeatureFlag
from feature_flags.validation import parse, with_aggregation_copied

LAST_WRITE_WINS = -1


def reconcile(
    *, flag: FeatureFlag, changes: Mapping[str, Any], version: int | None, original: Mapping[str, Any] | None
) -> tuple[dict[str, Any], bool]:
    """The changes that remain of an edit, and whether any of them conflicts with what was stored since.

    A field conflicts when the sent and the stored value both differ from the one in `original`, the flag the editor
    started from, and from each other. Fields that the editor left as they were are dropped.
    """
    if version is None or version in {LAST_WRITE_WINS, flag.version} or original is None:
        return dict(changes), False
    remaining: dict[str, Any] = {}
    conflicting = False
    for name, sent in changes.items():
        if name not in original:
            remaining[name] = sent
            continue
        stored = getattr(flag, name)
        began, wanted = original[name], sent
        if name == "filters":
            stored, began, wanted = _filters(flag, began, sent)
        if wanted == began:
            continue
        remaining[name] = sent
        conflicting = conflicting or stored not in (began, wanted)
    return remaining, conflicting


def _filters(flag: FeatureFlag, began: Any, sent: Any) -> tuple[Any, Any, Any]:
    """Stored, original and sent filters in one form, so that they can be compared.

    The marker shown in place of an encrypted payload stands for the payload itself.
    """
    stored = encryption.opened(flag.filters) if flag.has_encrypted_payloads else flag.filters
    try:
        original = with_aggregation_copied(parse(began))
    except Invalid:
        return stored, None, parse(sent)
    original = _unmarked(original, stored)
    # Top-level keys that were not sent stay as they were, in the editor's eyes too.
    wanted = with_aggregation_copied({**original, **_unmarked(parse(sent), stored)})
    return stored, original, wanted


def _unmarked(filters: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    if encryption.payload_of(filters) != encryption.MARKER:
        return filters
    kept = {key: text for key, text in filters["payloads"].items() if text != encryption.MARKER}
    return {**filters, "payloads": kept | dict(stored.get("payloads", {}))}


def conflict(flag: FeatureFlag) -> Conflict:
    """The refusal of an edit that conflicts, naming who was faster."""
    who = flag.last_modified_by.email if flag.last_modified_by is not None else "another user"
    return Conflict(
        f"The feature flag was updated by {who} since you started editing it. Please refresh and try again."
    )
