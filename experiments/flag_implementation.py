"""Does an application already send events with the flag's value on them?"""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from common.errors import Invalid
from events import actions
from events.models import Action
from events.store import event_store
from events.store.plans import EVERY_EVENT, Selection, Step
from projects.models import Project

SINCE = timedelta(days=7)
PREFIX = "$feature/"
MAX_NAMES = 1000


def parse_names(text: str | None, *, parameter: str) -> list[Any]:
    """The JSON array of a query parameter; none sent means none. Raises Invalid for anything else."""
    if not text:
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise Invalid(f"{parameter} must be a JSON array")
    return value[:MAX_NAMES]


def is_required(*, project: Project, events: Iterable[Any], action_ids: Iterable[Any]) -> bool:
    """False when a sample of recent events, these or all, holds one that carries the value of a flag.

    Events are named by text, or by an object with it as `id` or `name`; actions by their id or such an object.
    """
    steps = [Step(event=name) for sent in events if isinstance(name := _named(sent), str)]
    steps += _steps_of(project, [number for sent in action_ids if type(number := _named(sent)) is int])
    return not event_store().any_property_with_prefix(
        project_id=project.pk,
        selection=Selection(steps=tuple(steps)) if steps else EVERY_EVENT,
        since=timezone.now() - SINCE,
        prefix=PREFIX,
    )


def _named(sent: Any) -> Any:
    return (sent.get("id") or sent.get("name")) if isinstance(sent, dict) else sent


def _steps_of(project: Project, action_ids: list[int]) -> list[Step]:
    found = Action.objects.filter(
        project=project, pk__in=[number for number in action_ids if 0 < number < 2**63], deleted=False
    )
    steps: list[Step] = []
    for action in found:
        action.project = project
        steps += actions.selection(action).steps
    return steps
