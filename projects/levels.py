"""The levels of members as a rule: who reaches whom."""

from common.errors import Denied


def check_level(level: int | None, minimum: int) -> None:
    """Raise Denied when the level is too low; no level at all is below every other."""
    if (level or 0) < minimum:
        raise Denied("Your organization access level is insufficient.")
