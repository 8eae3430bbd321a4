"""The uuids of metrics and the arrays that keep their order. Pure.

An array lists inline metrics and saved ones together; it may hold uuids that nothing has, which are left alone.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal

from common.errors import Invalid


class _Omitted(Enum):
    OMITTED = "omitted"


OMITTED: Final = _Omitted.OMITTED
"""What stands for an array that the request does not mention; null is a value of its own."""

MetricList = Sequence[Mapping[str, Any]]


def unique_uuids(lists: Iterable[MetricList], *, taken: Collection[str]) -> list[list[dict[str, Any]]]:
    """The lists with a uuid on every metric, no two alike.

    The first holder of a uuid keeps it: `taken` first, then the metrics in their order. Every other one, and a metric
    whose uuid is absent, null or empty, gets a fresh one.
    """
    held = set(taken)
    return [[_with_own_uuid(metric, held) for metric in metrics] for metrics in lists]


def _with_own_uuid(metric: Mapping[str, Any], held: set[str]) -> dict[str, Any]:
    own = metric.get("uuid")
    if not own or own in held:
        own = str(uuid.uuid4())
    held.add(own)
    return {**metric, "uuid": own}


def parse_order(value: Any, *, attr: str) -> list[str] | None:
    """A sent array with repeats dropped, the first one kept. Raises Invalid for what is no list of strings."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Invalid(f"{attr} must be a list of strings", attr=attr)
    return list(dict.fromkeys(value))


def created_order(*, sent: list[str] | None, inline: Sequence[str], saved: Sequence[str]) -> list[str] | None:
    """The array of a new experiment: as sent, what it lacks appended. Without metrics it is what was sent."""
    if not inline and not saved:
        return sent
    return _appended(sent or [], [*inline, *saved])


def updated_order(
    *,
    sent: list[str] | Literal[_Omitted.OMITTED] | None,
    stored: list[str] | None,
    before: Sequence[str],
    after: Sequence[str],
) -> list[str] | None:
    """The array after an update that turned the metrics `before` into those `after`.

    What left is removed, what is new is appended; the rest keeps the order of the sent array, else of the stored one.
    An array that lacks metrics which were there before stays incomplete: see `check_complete`.
    """
    order = stored if sent is OMITTED else sent
    left = set(before) - set(after)
    known = set(before)
    new = [entry for entry in after if entry not in known]
    if order is None:
        return _appended([], new) if new else None
    return _appended([entry for entry in order if entry not in left], new)


def check_complete(field_name: str, order: Sequence[str] | None, uuids: Collection[str]) -> None:
    """Raise Invalid unless the array holds every uuid. `field_name` is that of the array."""
    if not uuids:
        return
    advice = "This is likely a frontend bug - please refresh and try again."
    if order is None:
        which = field_name.split("_", 1)[0]
        raise Invalid(f"{field_name} is null but {which} metrics exist. {advice}")
    missing = set(uuids) - set(order)
    if missing:
        raise Invalid(f"{field_name} is missing UUIDs: {sorted(missing)}. {advice}")


def _appended(order: Iterable[str], more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*order, *more]))
