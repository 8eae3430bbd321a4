"""The Cohort as clients read it."""

from collections.abc import Iterable, Mapping
from typing import Any

from cohorts.models import Cohort
from projects.api.user_basic import user_basic


def shown(cohort: Cohort) -> dict[str, Any]:
    """One Cohort. `experiment_set` are the live experiments whose exposure cohort it is."""
    return _shown(cohort, cohort.experiments.filter(deleted=False).values_list("pk", flat=True))


def listed(cohorts: Iterable[Cohort]) -> list[dict[str, Any]]:
    """Cohorts of a list; their experiments must be prefetched."""
    return [_shown(cohort, (one.pk for one in cohort.experiments.all() if not one.deleted)) for cohort in cohorts]


def basics(cohorts: Iterable[Cohort]) -> list[dict[str, Any]]:
    """What a chooser needs of cohorts."""
    return [
        {"id": cohort.pk, "name": cohort.name, "count": cohort.count, "is_static": cohort.is_static}
        for cohort in cohorts
    ]


def _shown(cohort: Cohort, experiment_ids: Iterable[int]) -> dict[str, Any]:
    return {
        "id": cohort.pk,
        "name": cohort.name,
        "description": cohort.description,
        "deleted": cohort.deleted,
        "filters": cohort.filters,
        "is_static": cohort.is_static,
        "created_by": user_basic(cohort.created_by),
        "created_at": cohort.created_at,
        "experiment_set": sorted(experiment_ids),
        "cohort_type": _cohort_type(cohort),
        "groups": [],
        "query": None,
        "search_match_type": None,
        "version": cohort.version,
        "pending_version": cohort.pending_version,
        "is_calculating": cohort.is_calculating,
        "last_calculation": cohort.last_calculation,
        "last_backfill_person_properties_at": None,
        "count": cohort.count,
        "errors_calculating": cohort.errors_calculating,
        "last_error_message": cohort.last_error_message,
    }


def _cohort_type(cohort: Cohort) -> str:
    if cohort.is_static:
        return "static"
    return "behavioral" if _has_behavioral_leaf(cohort.filters.get("properties", {})) else "person_property"


def _has_behavioral_leaf(node: Mapping[str, Any]) -> bool:
    return node.get("type") == "behavioral" or any(_has_behavioral_leaf(child) for child in node.get("values", []))
