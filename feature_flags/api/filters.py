"""Which flags a list shows, and in what order."""

from collections.abc import Callable, Iterable, Mapping

from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, NullIf
from django.http import QueryDict
from django.utils import timezone

from common import documents
from common.errors import Invalid
from feature_flags import usage
from feature_flags.eligibility import eligible
from feature_flags.last_calls import stale_ids
from feature_flags.models import EvaluationRuntime, FeatureFlag
from projects.access import parse_id

MAX_SEARCH = 200
_STALE = "stale"
TRUE = frozenset({"true", "1", "yes"})


class _HasVariants(Func):
    template = "(%(expressions)s #> '{multivariate,variants}' IS NOT NULL)"
    output_field = BooleanField()


def _person(relation: str) -> Callable[[], Combinable]:
    return lambda: Coalesce(NullIf(f"{relation}__first_name", Value("")), f"{relation}__email")


def _field(name: str) -> Callable[[], Combinable]:
    return lambda: F(name)


ORDERS: Mapping[str, Callable[[], Combinable]] = {
    **{
        name: _field(name)
        for name in (
            "id",
            "created_at",
            "updated_at",
            "key",
            "name",
            "active",
            "archived",
            "version",
            "evaluation_runtime",
        )
    },
    "created_by": _person("created_by"),
    "last_modified_by": _person("last_modified_by"),
}


def filtered(queryset: QuerySet[FeatureFlag], parameters: QueryDict) -> QuerySet[FeatureFlag]:
    """`queryset` narrowed and ordered by the documented list parameters; empty values count as omitted.

    Raises Invalid for a value that has no meaning.
    """
    sent = {name: values for name, values in parameters.lists() if any(values)}
    conditions = [Q(deleted=False), Q(archived=is_true(sent.get("archived", ["false"])[-1]))]
    conditions += [condition(sent[name]) for name, condition in _CONDITIONS.items() if name in sent]
    if sent.get("active", [""])[-1].lower() == _STALE:
        conditions.append(Q(pk__in=stale_ids(queryset, timezone.now())))
    return ordered(queryset.filter(*conditions), sent.get("order", ["-created_at"])[-1])


def ordered(queryset: QuerySet[FeatureFlag], order: str) -> QuerySet[FeatureFlag]:
    """Ordered by a documented field, `-` reverses; ties by id in the same direction."""
    expression = ORDERS.get(order.removeprefix("-"))
    if expression is None:
        raise Invalid(f"Invalid order field: '{order}'")
    if order.startswith("-"):
        return queryset.order_by(expression().desc(nulls_last=True), "-id")  # type: ignore[attr-defined]  # F, Func
    return queryset.order_by(expression().asc(nulls_first=True), "id")  # type: ignore[attr-defined]  # F, Func


def is_true(text: str) -> bool:
    return text.lower() in TRUE


def listed(values: Iterable[str], *, parameter: str) -> list[str]:
    """The texts of a list parameter: JSON lists, comma lists, or the parameter repeated. Raises Invalid."""
    texts: list[str] = []
    for value in values:
        if not value.lstrip().startswith("["):
            texts += [part.strip() for part in value.split(",") if part.strip()]
            continue
        try:
            members = documents.loads(value)
        except documents.DocumentError:
            members = None
        if not isinstance(members, list) or any(isinstance(member, dict | list) for member in members):
            raise Invalid(f"{parameter} must be a JSON list")
        texts += [member if isinstance(member, str) else documents.dumps(member) for member in members]
    return texts


def _choice(value: str, parameter: str) -> Invalid:
    return Invalid(f'"{value}" is not a valid choice.', code="invalid_choice", attr=parameter)


def _active(values: list[str]) -> Q:
    value = values[-1]
    if value.lower() == _STALE:
        return Q()  # Their calls tell which those are.
    if value.lower() not in {"true", "false"}:
        raise _choice(value, "active")
    return Q(active=value.lower() == "true")


def _creators(values: list[str]) -> Q:
    ids = set()
    for text in listed(values, parameter="created_by_id"):
        try:
            number = int(text)
        except ValueError:
            raise Invalid("created_by_id must be an integer") from None
        # A number beyond the column is nobody's id.
        ids.add(parse_id(str(number)))
    return Q(created_by_id__in=ids - {None})


def _search(values: list[str]) -> Q:
    term = values[-1]
    if len(term) > MAX_SEARCH:
        raise Invalid(f"Search term cannot exceed {MAX_SEARCH} characters")
    return Q(key__icontains=term) | Q(name__icontains=term) | usage.named_like(term)


def _type(values: list[str]) -> Q:
    conditions: Mapping[str, Callable[[], Q]] = {
        "boolean": lambda: ~Q(_HasVariants("filters")),
        "multivariant": lambda: Q(_HasVariants("filters")),
        "experiment": usage.in_use,
        "remote_config": lambda: Q(is_remote_configuration=True),
    }
    if values[-1] not in conditions:
        raise _choice(values[-1], "type")
    return conditions[values[-1]]()


def _runtime(values: list[str]) -> Q:
    if values[-1] not in EvaluationRuntime.values:
        raise _choice(values[-1], "evaluation_runtime")
    return Q(evaluation_runtime=values[-1])


def has_evaluation_contexts(value: str) -> Q:
    """Flags with (`true`, `1`, `yes`) or without (anything else) evaluation contexts."""
    without = Q(evaluation_contexts__len=0)
    return ~without if is_true(value) else without


_CONDITIONS: Mapping[str, Callable[[list[str]], Q]] = {
    "active": _active,
    "created_by_id": _creators,
    "search": _search,
    "key": lambda values: Q(key__iexact=values[-1]),
    "type": _type,
    "evaluation_runtime": _runtime,
    # Flags are properties to those that depend on them: these are the keys a chooser leaves out.
    "excluded_properties": lambda values: ~Q(key__in=listed(values, parameter="excluded_properties")),
    "tags": lambda values: Q(tags__overlap=listed(values, parameter="tags")),
    "excluded_tags": lambda values: ~Q(tags__overlap=listed(values, parameter="excluded_tags")),
    "has_evaluation_contexts": lambda values: has_evaluation_contexts(values[-1]),
    "eligible_for_experiment": lambda values: eligible() if is_true(values[-1]) else Q(),
}
