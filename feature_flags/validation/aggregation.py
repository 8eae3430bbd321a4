"""Whether conditions are about persons or about groups of one type."""

from collections.abc import Mapping
from typing import Any

_KEY = "aggregation_group_type_index"


def aggregation_of(group: Mapping[str, Any], filters: Mapping[str, Any]) -> int | None:
    """The group type a condition set is about, None for persons: its own index, else that of the flag."""
    index: int | None = group[_KEY] if _KEY in group else filters.get(_KEY)
    return index


def with_aggregation_copied(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters whose groups name their group type themselves and whose own index is the one that all groups share.

    Where persons are meant throughout nothing is added: an absent key says so already.
    """
    index = filters.get(_KEY)
    groups = filters.get("groups", [])
    if index is not None:
        groups = [group if _KEY in group else {**group, _KEY: index} for group in groups]
    copied = {**filters, "groups": groups} if groups else dict(filters)
    if groups:
        indexes = {aggregation_of(group, filters) for group in groups}
        shared = indexes.pop() if len(indexes) == 1 else None
        if _KEY in filters or shared is not None:
            copied[_KEY] = shared
    return copied


def with_aggregation_moved(groups: list[dict[str, Any]], *, before: int | None, after: int | None) -> list[Any]:
    """Stored groups after the flag's index alone was changed: those that followed the old one follow the new one."""
    if before == after:
        return groups
    return [{**group, _KEY: after} if group.get(_KEY, before) == before else group for group in groups]
