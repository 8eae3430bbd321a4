"""Where a flag stands: in use, forgotten, put away. In SQL, so that lists can be filtered and answered by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Case, Func, Q, TextField, Value, When

from feature_flags.validation.variants import variants_of

STALE_AFTER = timedelta(days=30)


class _FullyRolledOut(Func):
    """The first group is open to everybody, nobody is held out, and one answer is possible."""

    template = """(
        %(expressions)s #> '{groups,0}' IS NOT NULL
        AND COALESCE(json_array_length(%(expressions)s #> '{groups,0,properties}'), 0) = 0
        AND COALESCE((%(expressions)s #>> '{groups,0,rollout_percentage}')::numeric, 100) = 100
        AND %(expressions)s #>> '{holdout}' IS NULL
        AND (
            %(expressions)s #> '{multivariate,variants}' IS NULL
            OR COALESCE(%(expressions)s #>> '{groups,0,variant}', '') <> ''
            OR EXISTS (
                SELECT 1 FROM json_array_elements(%(expressions)s #> '{multivariate,variants}') AS variant
                WHERE (variant ->> 'rollout_percentage')::numeric = 100
            )
        )
    )"""
    output_field = BooleanField()


def fully_rolled_out() -> Q:
    """The condition on FeatureFlag that everybody gets the same answer."""
    return Q(_FullyRolledOut("filters"))


def stale(now: datetime) -> Q:
    """The condition on FeatureFlag: active, older than 30 days, never called and fully rolled out."""
    return Q(fully_rolled_out(), deleted=False, archived=False, active=True, created_at__lt=now - STALE_AFTER)


def status(now: datetime) -> Case:
    """The expression of a flag's status."""
    return Case(
        When(deleted=True, then=Value("DELETED")),
        When(archived=True, then=Value("ARCHIVED")),
        When(stale(now), then=Value("STALE")),
        default=Value("ACTIVE"),
        output_field=TextField(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How far a flag is rolled out."""

    effectively_full_rollout: bool
    has_targeting_conditions: bool
    max_rollout_percentage: int | float | None
    is_multivariate: bool


def rollout_of(filters: Mapping[str, Any], *, effectively_full: bool) -> Rollout:
    """What the groups of a flag add up to; no maximum without a group."""
    groups = filters.get("groups", [])
    percentages = [group.get("rollout_percentage") for group in groups]
    return Rollout(
        effectively_full_rollout=effectively_full,
        has_targeting_conditions=any(group.get("properties") for group in groups),
        max_rollout_percentage=max((100 if value is None else value for value in percentages), default=None),
        is_multivariate=bool(variants_of(filters)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A status as a sentence, and whether the sentence tells the rollout already."""

    reason: str
    states_rollout: bool


def explain(status_name: str, *, active: bool, rollout: Rollout) -> Explanation:
    """Why a flag has its status."""
    if status_name == "DELETED":
        return Explanation(reason="The flag has been deleted.", states_rollout=False)
    if status_name == "ARCHIVED":
        return Explanation(reason="The flag has been archived.", states_rollout=False)
    if status_name == "STALE":
        answer = "one variant" if rollout.is_multivariate else "everyone"
        return Explanation(
            reason=f"The flag has never been called and has been rolled out to {answer} for over 30 days.",
            states_rollout=True,
        )
    if not active:
        return Explanation(reason="The flag is switched off.", states_rollout=False)
    return Explanation(reason="The flag is in use.", states_rollout=False)
