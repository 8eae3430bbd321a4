"""Which flags depend on which, as the project stands now."""

from collections.abc import Collection
from typing import Any

from django.db import connection
from django.db.models import Q

from common.documents import as_text
from common.errors import Invalid
from feature_flags.models import FeatureFlag
from feature_flags.validation.dependencies import KnownFlag, dependencies_of, named
from feature_flags.validation.properties import FLAG_OPERATOR

# The first of the two numbers of an advisory lock; the second is the project.
_LOCK_CLASS = 0x464C4147


def lock_graph(project_id: int) -> None:
    """Let no other transaction change dependencies or switch flags of the project until this one ends.

    Row locks alone would let two writers close a circle from both ends. Taken after all row locks of the act, so
    that it cannot take part in a deadlock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_CLASS, project_id % 2**31])


def known_flags(project_id: int, also: Collection[int] = ()) -> dict[int, KnownFlag]:
    """The live flags that depend on others, and those with the ids `also`. One query."""
    rows = (
        FeatureFlag.objects.filter(project_id=project_id, deleted=False)
        .alias(filters_text=as_text("filters"))
        .filter(Q(filters_text__contains=FLAG_OPERATOR) | Q(pk__in=also))
        .order_by("pk")
        .values_list("pk", "key", "active", "filters")
    )
    return {
        pk: KnownFlag(id=pk, key=key, active=active, dependencies=dependencies_of(filters))
        for pk, key, active, filters in rows
    }


def active_dependents(flag: FeatureFlag) -> list[KnownFlag]:
    """The active flags with a condition on this one, in ascending id."""
    return [
        other
        for other in known_flags(flag.project_id).values()
        if other.active and flag.pk in other.dependencies and other.id != flag.pk
    ]


def dependent_flags(flag: FeatureFlag) -> list[dict[str, Any]]:
    """id, key and name of the active flags with a condition on this one."""
    ids = [other.id for other in active_dependents(flag)]
    rows = FeatureFlag.objects.filter(pk__in=ids).order_by("pk").values_list("pk", "key", "name")
    return [{"id": pk, "key": key, "name": name} for pk, key, name in rows]


def refuse_disabling(flag: FeatureFlag) -> None:
    """Raise Invalid while active flags depend on this one."""
    others = active_dependents(flag)
    if others:
        raise Invalid(
            f"Cannot disable this feature flag because other flags depend on it: {named(others)}. "
            "Please update or disable the dependent flags first."
        )


def refuse_deleting(flag: FeatureFlag) -> None:
    """Raise Invalid while active flags depend on this one."""
    others = active_dependents(flag)
    if others:
        raise Invalid(
            f"Cannot delete this feature flag because other flags depend on it: {named(others)}. "
            "Please update or disable the dependent flags first."
        )


def refuse_enabling(dependencies: Collection[int], known: dict[int, KnownFlag]) -> None:
    """Raise Invalid when a flag that is to be active depends on a disabled one."""
    disabled = [known[target] for target in sorted(dependencies) if target in known and not known[target].active]
    if disabled:
        raise Invalid(
            f"Cannot enable this feature flag because it depends on disabled flags: {named(disabled)}. "
            "Please enable the dependency flags first."
        )
