"""What stored nodes and criteria mean in a project: its actions, its filters, as plans take them."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from common.errors import Invalid
from events import actions, filters
from events.models import Action
from events.store.plans import Condition, Selection, Step
from experiments.action_references import check_actions
from experiments.metrics.nodes import ActionsNode, EventsNode
from projects.models import Project

ACTION_NOT_FOUND = "action-not-found"


class Selections:
    """Answers which events a node selects. Actions are looked up once each."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._actions: dict[int, Selection] = {}

    def __call__(self, node: EventsNode | ActionsNode) -> Selection:
        """Raises Invalid with code `action-not-found` or `unsupported-property-filter`."""
        given = [*(node.properties or ()), *(node.fixedProperties or ())]
        conditions = filters.conditions(given, project=self.project)
        if isinstance(node, ActionsNode):
            return Selection(steps=self.of_action(node.id).steps, conditions=conditions)
        return Selection(steps=(Step(event=node.event),), conditions=conditions)

    def require_actions(self, action_ids: Set[int]) -> None:
        """Raise Invalid with code `action-not-found` unless all are live actions of the project."""
        try:
            check_actions(self.project, wanted=action_ids)
        except Invalid as error:
            raise Invalid(error.detail, code=ACTION_NOT_FOUND) from error

    def of_action(self, action_id: int) -> Selection:
        """The events of a live action of the project."""
        if action_id not in self._actions:
            self.require_actions({action_id})
            self._actions[action_id] = actions.selection(Action.objects.get(project=self.project, pk=action_id))
        return self._actions[action_id]

    def of_config(self, config: Mapping[str, Any]) -> Selection:
        """The events of a stored exposure or activation config."""
        conditions = self.conditions(config.get("properties"))
        if config["kind"] == "ActionsNode":
            return Selection(steps=self.of_action(config["id"]).steps, conditions=conditions)
        return Selection(steps=(Step(event=config["event"]),), conditions=conditions)

    def conditions(self, documents: Sequence[Mapping[str, Any]] | None) -> tuple[Condition, ...]:
        """The conditions of a stored list of filters."""
        return filters.stored_conditions(documents, project=self.project)
