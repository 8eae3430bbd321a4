"""Which entries tell of what. Every query starts from the project."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from activity.models import ActivityEntry
from projects.models import Project


def of_project(project: Project) -> QuerySet[ActivityEntry]:
    """All entries of a project, in no order."""
    return ActivityEntry.objects.filter(project=project)


def of_scope(*, project: Project, scope: str) -> QuerySet[ActivityEntry]:
    """The entries of every object of one kind."""
    return of_project(project).filter(scope=scope)


def of_items(*, project: Project, items: Iterable[tuple[str, object]]) -> QuerySet[ActivityEntry]:
    """The entries of the given objects, each named by its scope and id; of none, none."""
    ids_by_scope: dict[str, list[str]] = {}
    for scope, item_id in items:
        ids_by_scope.setdefault(scope, []).append(str(item_id))
    wanted = Q(pk__in=[])
    for scope, ids in ids_by_scope.items():
        wanted |= Q(scope=scope, item_id__in=ids)
    return of_project(project).filter(wanted)
