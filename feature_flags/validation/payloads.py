"""What clients receive along with a variant: JSON text by variant key, or by `true` for a boolean flag."""

from collections.abc import Mapping
from typing import Any

from common import documents
from common.errors import Invalid
from feature_flags.validation.variants import variant_keys

BOOLEAN_KEY = "true"


def check_payloads(filters: Mapping[str, Any]) -> None:
    """Raise Invalid unless every payload is JSON text and belongs to something the flag can answer."""
    keys = variant_keys(filters)
    for key, payload in filters.get("payloads", {}).items():
        if keys and key not in keys:
            raise Invalid(f"Payload key '{key}' does not match any variant key.", attr="filters")
        if not keys and key != BOOLEAN_KEY:
            raise Invalid(f"Payload key '{key}' is invalid: boolean flags only support the 'true' key.", attr="filters")
        try:
            documents.loads(payload)
        except documents.DocumentError:
            raise Invalid(f"Payload for key '{key}' is not valid JSON.", attr="filters") from None
