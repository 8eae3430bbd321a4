"""Where a flag stands: in use, forgotten, put away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, Func, Q

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


def possibly_stale(now: datetime) -> Q:
    """The condition on FeatureFlag that it is active and older than 30 days; its calls decide whether it is stale."""
    return Q(deleted=False, archived=False, active=True, created_at__lt=now - STALE_AFTER)


def is_stale(last_called_at: datetime | None, *, fully_rolled_out: bool, now: datetime) -> bool:
    """Whether an active flag older than 30 days is forgotten: not called in that time, or never and open to all."""
    return fully_rolled_out if last_called_at is None else last_called_at < now - STALE_AFTER


def status(row: Mapping[str, Any], *, last_called_at: datetime | None, now: datetime) -> str:
    """The status of a flag, from its columns `deleted`, `archived`, `active`, `created_at` and `full_rollout`."""
    if row["deleted"]:
        return "DELETED"
    if row["archived"]:
        return "ARCHIVED"
    old = row["active"] and row["created_at"] < now - STALE_AFTER
    if old and is_stale(last_called_at, fully_rolled_out=row["full_rollout"], now=now):
        return "STALE"
    return "ACTIVE"


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


def explain(status_name: str, *, active: bool, rollout: Rollout, was_called: bool) -> Explanation:
    """Why a flag has its status."""
    if status_name == "DELETED":
        return Explanation(reason="The flag has been deleted.", states_rollout=False)
    if status_name == "ARCHIVED":
        return Explanation(reason="The flag has been archived.", states_rollout=False)
    if status_name == "STALE" and was_called:
        return Explanation(reason="The flag was last called over 30 days ago.", states_rollout=False)
    if status_name == "STALE":
        answer = "one variant" if rollout.is_multivariate else "everyone"
        return Explanation(
            reason=f"The flag has never been called and has been rolled out to {answer} for over 30 days.",
            states_rollout=True,
        )
    if not active:
        return Explanation(reason="The flag is switched off.", states_rollout=False)
    return Explanation(reason="The flag is in use.", states_rollout=False)
