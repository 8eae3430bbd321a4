"""Flags that depend on other flags: what a condition may refer to, and that nothing depends on itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Invalid

SHOWN_FLAGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFlag:
    """What the rules must know of a live flag: whether it is on, and which flags its conditions refer to."""

    id: int
    key: str
    active: bool
    dependencies: frozenset[int]


def flag_references(filters: Mapping[str, Any]) -> Iterator[str]:
    """The flags that conditions refer to, as sent: ids as text, if they are right."""
    for group in filters.get("groups", []):
        for condition in group.get("properties", []):
            if condition["type"] == "flag":
                yield condition["key"]


def dependencies_of(filters: Mapping[str, Any]) -> frozenset[int]:
    """The ids of the flags that valid filters depend on."""
    return frozenset(int(reference) for reference in flag_references(filters) if _is_id(reference))


def _is_id(reference: str) -> bool:
    return reference.isascii() and reference.isdigit() and len(reference) < 20


def check_references(filters: Mapping[str, Any]) -> None:
    """Raise Invalid when a condition names a flag by anything but its id."""
    for reference in flag_references(filters):
        if not _is_id(reference):
            raise Invalid(
                "Flag dependencies must reference flag IDs (integers), not flag keys. "
                f"Invalid reference: '{reference}'",
                attr="filters",
            )


def check_dependencies(
    *,
    flag_id: int | None,
    key: str,
    dependencies: frozenset[int],
    stored: frozenset[int],
    known: Mapping[int, KnownFlag],
) -> None:
    """Raise Invalid when a flag cannot depend on `dependencies`.

    `known` are the live flags of the project. Dependencies already `stored` may have been switched off since, as
    long as the flag itself is off.
    """
    for dependency in sorted(dependencies):
        if dependency == flag_id:
            raise Invalid(f"Feature flag '{key}' cannot depend on itself", attr="filters")
        target = known.get(dependency)
        if target is None:
            raise Invalid(f"Flag dependency references non-existent flag with ID {dependency}", attr="filters")
        if not target.active and dependency not in stored:
            raise Invalid(
                f"Cannot create dependency on disabled flag '{target.key}' (ID: {target.id}). "
                "Flag dependencies must reference active flags only.",
                attr="filters",
            )
    if flag_id is not None:
        cycle = find_cycle(flag_id=flag_id, key=key, dependencies=dependencies, known=known)
        if cycle:
            raise Invalid(f"Circular dependency detected: {' → '.join(cycle)}", attr="filters")


def find_cycle(
    *, flag_id: int, key: str, dependencies: frozenset[int], known: Mapping[int, KnownFlag]
) -> list[str] | None:
    """The keys along a way from the flag back to itself, both ends included; None when there is none."""
    ways: list[tuple[int, tuple[str, ...]]] = [(dependency, (key,)) for dependency in sorted(dependencies)]
    seen: set[int] = set()
    while ways:
        present, way = ways.pop(0)
        if present == flag_id:
            return [*way, key]
        target = known.get(present)
        if target is None or present in seen:
            continue
        seen.add(present)
        ways.extend((following, (*way, target.key)) for following in sorted(target.dependencies))
    return None


def named(flags: list[KnownFlag]) -> str:
    """Flags as a refusal names them: the first five, then how many more there are."""
    shown = ", ".join(f"{flag.key} (ID: {flag.id})" for flag in flags[:SHOWN_FLAGS])
    hidden = len(flags) - SHOWN_FLAGS
    return f"{shown} and {hidden} more" if hidden > 0 else shown
