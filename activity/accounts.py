"""The log's side of `projects.changes`: projects and their keys know nothing of it."""

from collections.abc import Mapping
from typing import Any

from activity.recorder import changes_between, record
from projects.models import Project, User


def record_account_change(
    *,
    project: Project,
    user: User | None,
    scope: str,
    item_id: object,
    name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Write the row of a project or key that was created (no `before`), deleted (no `after`) or changed."""
    fields = (before or after or {}).keys()
    record(
        project=project,
        user=user,
        scope=scope,
        item_id=item_id,
        activity="created" if before is None else "deleted" if after is None else "updated",
        name=name,
        changes=changes_between(scope=scope, before=before, after=after, fields=fields),
    )
