"""The query parameter `properties`: a JSON list of filters."""

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework.request import Request

from common import documents
from common.errors import Invalid
from common.property_filters import PropertyFilter
from events import filters
from events.api.pages import text_parameter
from events.store.plans import Condition, PropertyCondition
from projects.models import Project

Made = TypeVar("Made")

ATTR = "properties"
PROPERTIES_PARAMETER = text_parameter(ATTR, "A JSON list of property filters that must all match.")


def event_conditions(request: Request, *, project: Project) -> tuple[Condition, ...]:
    """The conditions on events; a filter without a type is about the event itself. Raises Invalid."""
    return _read(request, lambda found: filters.conditions(found, project=project), default_type="event")


def person_conditions(request: Request, *, project: Project) -> tuple[PropertyCondition, ...]:
    """The conditions on persons. Raises Invalid, also for filters on anything else."""
    return _read(request, lambda found: filters.person_conditions(found, project=project), default_type="person")


def _read(
    request: Request, compile_: Callable[[list[PropertyFilter]], tuple[Made, ...]], *, default_type: str
) -> tuple[Made, ...]:
    text = request.query_params.get(ATTR)
    if not text:
        return ()
    try:
        sent = documents.loads(text)
    except documents.DocumentError:
        sent = None
    if not isinstance(sent, list):
        raise Invalid("properties must be a JSON array", attr=ATTR)
    try:
        return compile_(filters.read([_typed(one, default_type) for one in sent], name=ATTR))
    except Invalid as error:
        raise Invalid(error.detail, attr=ATTR) from error


def _typed(sent: Any, default_type: str) -> Any:
    if isinstance(sent, dict) and sent and sent.get("type") is None:
        # Only filters on events may come without an operator.
        return {"operator": "exact", **sent, "type": default_type}
    return sent
