"""Whether the actions that metrics and exposure criteria refer to are there."""

from collections.abc import Set

from common.errors import Invalid
from events.models import Action
from projects.access import parse_id
from projects.models import Project


def check_actions(project: Project, *, wanted: Set[int], known: Set[int] = frozenset()) -> None:
    """Raise Invalid unless every wanted action is one of the project's and not deleted.

    `known` are those that the stored document holds already: what was fine when it was written is not asked again.
    One query, none when there is nothing to ask.
    """
    asked = wanted - known
    # A number beyond the column is nobody's id.
    possible = {action_id for action_id in asked if parse_id(str(action_id)) is not None}
    found = (
        set(Action.objects.filter(project=project, deleted=False, pk__in=possible).values_list("pk", flat=True))
        if possible
        else set()
    )
    missing = asked - found
    if missing:
        ids = ", ".join(str(action_id) for action_id in sorted(missing))
        raise Invalid(
            f"Action(s) with ID {ids} not found or deleted. "
            "Each ActionsNode must reference an existing action belonging to this project."
        )
