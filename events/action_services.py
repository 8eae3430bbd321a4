"""Making and changing actions, with their history."""

from collections.abc import Mapping
from typing import Any, TypedDict

from django.db import IntegrityError, transaction

from activity import recorder
from activity.models import Activity, Scope
from common.documents import same_document
from common.errors import Invalid, Missing
from events import actions
from events.models import Action
from projects.models import Project, User

FIELDS = ("name", "description", "tags", "steps", "deleted", "folder")


class ActionChanges(TypedDict, total=False):
    """What a caller may set; absent fields stay."""

    name: str
    description: str
    tags: list[str]
    steps: Any
    deleted: bool


@transaction.atomic
def create_action(*, project: Project, user: User, fields: ActionChanges, folder: str | None) -> Action:
    """A new action. Raises Invalid for steps that cannot be computed and for a name that a live action has."""
    action = Action(project=project, created_by=user, folder=folder, **_checked(fields, project=project))
    _save(action)
    _record(action, user=user, activity=Activity.CREATED, before=None)
    return action


@transaction.atomic
def update_action(*, project: Project, action_id: int, user: User, changes: ActionChanges) -> Action:
    """Change an action, deleted ones too. Raises Missing, or Invalid as `create_action` does."""
    action = Action.objects.select_for_update().filter(project=project, pk=action_id).first()
    if action is None:
        raise Missing
    before, was_deleted = _snapshot(action), action.deleted
    for name, value in _checked(changes, project=project).items():
        setattr(action, name, value)
    if all(same_document(before[name], value) for name, value in _snapshot(action).items()):
        return action
    _save(action)
    changed = Activity.DELETED if action.deleted else Activity.RESTORED
    _record(action, user=user, activity=Activity.UPDATED if action.deleted == was_deleted else changed, before=before)
    return action


def _checked(fields: ActionChanges, *, project: Project) -> dict[str, Any]:
    checked: dict[str, Any] = dict(fields)
    if "steps" in checked:
        checked["steps"] = [step.document for step in actions.checked(checked["steps"], project=project)]
    if "tags" in checked:
        checked["tags"] = sorted({tag.strip() for tag in checked["tags"]} - {""})
    return checked


def _save(action: Action) -> None:
    try:
        with transaction.atomic():
            action.save()
    except IntegrityError as error:
        if "action_name_unique" not in str(error):
            raise
        other = Action.objects.get(project=action.project, name=action.name, deleted=False)
        raise Invalid(
            f"This project already has an action with this name, ID {other.pk}", code="unique", attr="name"
        ) from error


def _snapshot(action: Action) -> dict[str, Any]:
    return {name: getattr(action, name) for name in FIELDS}


def _record(action: Action, *, user: User, activity: Activity, before: Mapping[str, Any] | None) -> None:
    recorder.record(
        project=action.project,
        user=user,
        scope=Scope.ACTION,
        item_id=action.pk,
        activity=activity,
        name=action.name,
        changes=recorder.changes_between(scope=Scope.ACTION, before=before, after=_snapshot(action), fields=FIELDS),
    )
