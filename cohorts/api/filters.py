"""What the list of cohorts can be narrowed to."""

from collections.abc import Callable, Mapping

from django.db.models import Func, Q, QuerySet
from django.db.models.fields import BooleanField
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from cohorts.models import Cohort
from common.errors import Invalid
from events.api.pages import text_parameter
from projects.access import parse_id

MAX_SEARCH = 200
_TYPES = {"static": True, "dynamic": False}
PARAMETERS = [
    OpenApiParameter("type", {"type": "string", "enum": list(_TYPES)}, description="Only cohorts of this kind."),
    OpenApiParameter("created_by_id", {"type": "integer"}, description="Only cohorts that this user made."),
    text_parameter("search", "Part of the name.", maxLength=MAX_SEARCH),
    OpenApiParameter(
        "hide_behavioral_cohorts", {"type": "boolean"}, description="Whether to leave out those that need events."
    ),
    OpenApiParameter(
        "basic", {"type": "boolean"}, description="Whether `id`, `name`, `count` and `is_static` are enough."
    ),
]


class _NeedsEvents(Func):
    template = "(%(expressions)s)::jsonb @? '$.** ? (@.type == \"behavioral\")'"
    output_field = BooleanField()


def filtered(cohorts: QuerySet[Cohort], request: Request) -> QuerySet[Cohort]:
    """`cohorts` narrowed by the documented parameters; empty values count as omitted. Raises Invalid."""
    sent = {name: str(value) for name, value in request.query_params.items() if value}
    return cohorts.filter(Q(deleted=False), *(make(sent[name]) for name, make in _CONDITIONS.items() if name in sent))


def is_true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1")


def _type(value: str) -> Q:
    if value not in _TYPES:
        raise Invalid(f'"{value}" is not a valid choice.', code="invalid_choice", attr="type")
    return Q(is_static=_TYPES[value])


def _creator(value: str) -> Q:
    number = parse_id(value)
    if number is None:
        raise Invalid("A valid integer is required.", attr="created_by_id")
    return Q(created_by_id=number)


def _search(value: str) -> Q:
    if len(value) > MAX_SEARCH:
        raise Invalid(f"Search term cannot exceed {MAX_SEARCH} characters")
    return Q(name__icontains=value)


def _without_events(value: str) -> Q:
    return ~Q(_NeedsEvents("filters"), is_static=False) if is_true(value) else Q()


_CONDITIONS: Mapping[str, Callable[[str], Q]] = {
    "type": _type,
    "created_by_id": _creator,
    "search": _search,
    "hide_behavioral_cohorts": _without_events,
}
