"""Looking up the keys of many flags by their ids."""

from collections.abc import Sequence
from typing import Any

from common.errors import Invalid
from feature_flags.models import FeatureFlag
from projects.models import Project

_MAX_ID = 2**63


def keys_of(*, project: Project, ids: Sequence[Any]) -> dict[str, Any]:
    """`keys` by id as text; what is no integer is skipped and named in `warning`, unknown ids are left out.

    Raises Invalid when ids were sent and none of them is an integer.
    """
    numbers, skipped = set[int](), list[str]()
    for sent in ids:
        number = _integer(sent)
        if number is None:
            skipped.append(str(sent))
        else:
            numbers.add(number)
    if skipped and not numbers:
        detail = "Invalid flag IDs provided"
        raise Invalid(detail, extra={"error": detail})
    storable = [number for number in numbers if 0 <= number < _MAX_ID]
    rows = FeatureFlag.objects.filter(project=project, pk__in=storable).order_by("pk").values_list("pk", "key")
    answer: dict[str, Any] = {"keys": {str(pk): key for pk, key in rows}}
    if skipped:
        answer["warning"] = f"Invalid flag IDs ignored: {', '.join(skipped)}"
    return answer


def _integer(sent: Any) -> int | None:
    if isinstance(sent, int) and not isinstance(sent, bool):
        return sent
    return int(sent) if isinstance(sent, str) and sent.isascii() and sent.isdigit() and len(sent) < 20 else None
