"""Who is told of changes to projects and their keys. The activity log stands above this app and registers here."""

from collections.abc import Mapping
from typing import Any, Protocol

from projects.models import Project, User


class Recorder(Protocol):
    """Keeps one change; called inside the transaction that makes it."""

    def __call__(
        self,
        *,
        project: Project,
        user: User | None,
        scope: str,
        item_id: object,
        name: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None: ...


_recorders: list[Recorder] = []


def register(recorder: Recorder) -> None:
    """Have `recorder` told of every change from now on. Called in `AppConfig.ready()`."""
    if recorder not in _recorders:
        _recorders.append(recorder)


def tell(
    *,
    project: Project,
    user: User | None,
    scope: str,
    item_id: object,
    name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Tell of a creation (no `before`), a deletion (no `after`) or an update. Snapshots are JSON, secrets as masks."""
    for recorder in _recorders:
        recorder(project=project, user=user, scope=scope, item_id=item_id, name=name, before=before, after=after)
