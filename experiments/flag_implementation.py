"""Does an application already send events with the flag's value on them?"""

import json
from typing import Any

from common.errors import Invalid


def parse_names(text: str | None, *, parameter: str) -> list[Any]:
    """The JSON array of a query parameter; none sent means none. Raises Invalid for anything else."""
    if not text:
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise Invalid(f"{parameter} must be a JSON array")
    return value


def is_required() -> bool:
    """True while no event carries a `$feature/` property: this service holds no events yet, so none does."""
    return True
