"""The names of plans under which something is kept for them."""

import hashlib
import json
from typing import Any


def digest_of(document: Any) -> str:
    """The same 64 hex digits for the same document, in every process; times and ids in it count as their text."""
    written = json.dumps(document, default=str, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()
