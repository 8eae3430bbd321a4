"""Which experiments a list shows, and in what order."""

import json
import re
from collections.abc import Callable, Mapping

from django.db.models import BooleanField, Case, Exists, F, Func, OuterRef, Q, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now, NullIf

from common.errors import Invalid
from events.models import Action
from experiments.models import Experiment, ExperimentStatus, ExperimentToSavedMetric
from projects.access import parse_id
from projects.models import Project

_INTEGER = re.compile(r"-?\d+", re.ASCII)
STATUSES = ("draft", "running", "paused", "stopped", "complete", "all")


def filtered(
    queryset: QuerySet[Experiment], parameters: Mapping[str, str], *, project: Project
) -> QuerySet[Experiment]:
    """`queryset` narrowed and ordered by the documented list parameters; empty values count as omitted.

    Raises Invalid for a value that has no meaning.
    """
    sent = {name: value for name, value in parameters.items() if value != ""}
    queryset = queryset.filter(archived=sent.get("archived", "").lower() == "true")
    if "status" in sent:
        queryset = queryset.filter(_status(sent["status"]))
    for name in ("feature_flag_id", "created_by_id", "holdout_id"):
        if name in sent:
            queryset = queryset.filter(reference(name, sent[name]))
    if "search" in sent:
        term = sent["search"]
        queryset = queryset.filter(Q(name__icontains=term) | Q(feature_flag__key__icontains=term))
    if "folder" in sent:
        queryset = queryset.filter(folder__startswith=sent["folder"])
    if "event" in sent:
        queryset = queryset.filter(_names_event(sent["event"], project))
    return ordered(queryset, sent.get("order", "-created_at"))


def _status(value: str) -> Q:
    running = Q(status=ExperimentStatus.RUNNING)
    conditions = {
        "draft": Q(status=ExperimentStatus.DRAFT),
        "running": running & Q(feature_flag__active=True),
        "paused": running & Q(feature_flag__active=False),
        "stopped": Q(status=ExperimentStatus.STOPPED),
        "complete": Q(status=ExperimentStatus.STOPPED),
        "all": Q(),
    }
    condition = conditions.get(value.lower())
    if condition is None:
        raise Invalid(f"Invalid status: '{value}'. Must be one of: {', '.join(STATUSES)}.", attr="status")
    return condition


def reference(name: str, value: str) -> Q:
    """The condition that a foreign key has the id that a parameter of its name gives. Raises Invalid for no number."""
    if _INTEGER.fullmatch(value) is None:
        raise Invalid(f"{name} must be an integer")
    # A number beyond the column is nobody's id.
    number = parse_id(value)
    return Q(pk__in=()) if number is None else Q(**{name: number})


class _AsType(Func):
    """The argument cast to a PostgreSQL type that Django has no field for."""

    def __init__(self, expression: Combinable, type_name: str) -> None:
        super().__init__(expression, template=f"(%(expressions)s)::{type_name}", output_field=TextField())


class _PathExists(Func):
    function = "jsonb_path_exists"
    output_field = BooleanField()


# Every node of a metric is a member of it, or an element of a list that is one. A saved query is one metric, not a
# list; the path takes both.
_NODE_PATH = '$[*].*[*] ? (@.event == $event || (@.kind == "ActionsNode" && @.id == $actions[*]))'


def _names_event(event: str, project: Project) -> Q:
    """Metrics, inline or saved, with a node on the event or on an action that has a step on it."""
    actions = [
        action_id
        for action_id, steps in Action.objects.filter(project=project, deleted=False).values_list("id", "steps")
        if any(step.get("event") == event for step in steps)
    ]
    variables = json.dumps({"event": event, "actions": actions})

    def holds(document: str) -> _PathExists:
        return _PathExists(
            _AsType(F(document), "jsonb"), _AsType(Value(_NODE_PATH), "jsonpath"), _AsType(Value(variables), "jsonb")
        )

    saved = ExperimentToSavedMetric.objects.filter(holds("query"), experiment=OuterRef("pk"))
    return Q(holds("metrics")) | Q(holds("metrics_secondary")) | Q(Exists(saved))


def _status_rank() -> Combinable:
    return Case(
        When(status=ExperimentStatus.DRAFT, then=Value(0)),
        When(status=ExperimentStatus.RUNNING, then=Value(1)),
        default=Value(2),
    )


ORDERS: Mapping[str, Callable[[], Combinable]] = {
    "created_at": lambda: F("created_at"),
    "updated_at": lambda: F("updated_at"),
    "created_by": lambda: Coalesce(NullIf("created_by__first_name", Value("")), "created_by__email"),
    "name": lambda: F("name"),
    "start_date": lambda: F("start_date"),
    "end_date": lambda: F("end_date"),
    "duration": lambda: Coalesce("end_date", Now()) - F("start_date"),
    "status": _status_rank,
}


def ordered(queryset: QuerySet[Experiment], order: str) -> QuerySet[Experiment]:
    """Ordered by a documented field, `-` reverses; ties by id in the same direction. Drafts have no duration."""
    descending = order.startswith("-")
    expression = ORDERS.get(order.removeprefix("-"))
    if expression is None:
        raise Invalid(f"Invalid order field: '{order}'")
    if descending:
        return queryset.order_by(expression().desc(), "-id")  # type: ignore[attr-defined]
    return queryset.order_by(expression().asc(), "id")  # type: ignore[attr-defined]
