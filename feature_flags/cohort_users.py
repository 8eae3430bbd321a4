"""Flags as users of cohorts: what `cohorts.usage` asks."""

from collections.abc import Collection

from cohorts import usage
from common.documents import as_text
from feature_flags.models import FeatureFlag
from feature_flags.validation.cohorts import cohort_references


def register() -> None:
    """Called once, when the applications are ready."""
    usage.register(_flags_using)


def _flags_using(project_id: int, cohort_ids: Collection[int]) -> list[usage.UsingFlag]:
    wanted = set(cohort_ids)
    rows = (
        FeatureFlag.objects.filter(project_id=project_id, deleted=False)
        .alias(filters_text=as_text("filters"))
        .filter(filters_text__contains='"cohort"')
        .order_by("pk")
        .values_list("pk", "key", "active", "filters")
    )
    return [
        usage.UsingFlag(id=pk, key=key, active=active)
        for pk, key, active, filters in rows
        if cohort_references(filters) & wanted
    ]
