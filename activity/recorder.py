"""The only writer of the activity log. Call it inside the transaction of the change it tells of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from activity.models import ActivityEntry
from common.documents import same_document
from projects.models import Organization, Project, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What made a change that nobody sent directly, or which act it was part of."""

    job_type: str
    job_id: str | None
    payload: Mapping[str, Any]


def changes_between(
    *, scope: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, fields: Iterable[str]
) -> list[dict[str, Any]]:
    """The differing fields of two snapshots. No `before` means created, no `after` deleted; equal values leave none."""
    changes = []
    for field in fields:
        old = None if before is None else before[field]
        new = None if after is None else after[field]
        if same_document(old, new):
            continue
        action = "created" if old is None else "deleted" if new is None else "changed"
        changes.append({"type": scope, "action": action, "field": field, "before": old, "after": new})
    return changes


def record(
    *,
    project: Project | None,
    user: User | None,
    scope: str,
    item_id: object,
    activity: str,
    name: str | None,
    changes: list[dict[str, Any]] | None = None,
    item_type: str | None = None,
    trigger: Trigger | None = None,
    organization: Organization | None = None,
) -> ActivityEntry:
    """Write one row. `user` None means the system itself. Values must be JSON; secrets only as masks.

    What belongs to no project names its organization instead; that of a project is known.
    """
    return ActivityEntry.objects.create(
        organization_id=_organization_id(project, organization),
        project=project,
        user=user,
        is_system=user is None,
        scope=scope,
        item_id=str(item_id),
        activity=activity,
        detail={
            "name": name,
            "short_id": None,
            "type": item_type,
            "changes": changes or [],
            "trigger": None
            if trigger is None
            else {"job_type": trigger.job_type, "job_id": trigger.job_id, "payload": dict(trigger.payload)},
            "context": None,
        },
    )


def _organization_id(project: Project | None, organization: Organization | None) -> UUID | None:
    if project is not None:
        return project.organization_id
    return None if organization is None else organization.pk
