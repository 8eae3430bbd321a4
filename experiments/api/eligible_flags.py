"""The flags that an experiment can be made on, as the form that starts one lists them."""

from collections.abc import Mapping

from django.db.models import Q, QuerySet

from common.errors import Invalid
from experiments.api.filters import reference
from feature_flags.api.filters import is_true
from feature_flags.eligibility import eligible
from feature_flags.models import FeatureFlag

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_OFFSET = 2**62  # Beyond any table, and still a number PostgreSQL takes.
ORDERS = ("created_at", "key", "name")


def filtered(queryset: QuerySet[FeatureFlag], parameters: Mapping[str, str]) -> QuerySet[FeatureFlag]:
    """`queryset` narrowed and ordered by the documented parameters; empty values count as omitted.

    Raises Invalid for a value that has no meaning.
    """
    sent = {name: value for name, value in parameters.items() if value != ""}
    found = queryset.filter(eligible())
    if "search" in sent:
        found = found.filter(Q(key__icontains=sent["search"]) | Q(name__icontains=sent["search"]))
    if "active" in sent:
        found = found.filter(active=sent["active"].lower() == "true")
    if "created_by_id" in sent:
        found = found.filter(reference("created_by_id", sent["created_by_id"]))
    if "evaluation_runtime" in sent:
        found = found.filter(evaluation_runtime=sent["evaluation_runtime"])
    for name in ("has_evaluation_contexts", "has_evaluation_tags"):
        if name in sent:
            without = Q(evaluation_contexts=[])
            found = found.filter(~without if is_true(sent[name]) else without)
    order = sent.get("order", "-created_at")
    if order.removeprefix("-") not in ORDERS:
        raise Invalid(f"Invalid order field: '{order}'")
    return found.order_by(order, "-id" if order.startswith("-") else "id")


def window(parameters: Mapping[str, str]) -> slice:
    """Which of the flags to show. Raises Invalid unless `limit` and `offset` are numbers."""
    try:
        limit = int(parameters.get("limit") or DEFAULT_LIMIT)
        offset = int(parameters.get("offset") or 0)
    except ValueError:
        detail = "Invalid limit or offset"
        raise Invalid(detail, extra={"error": detail}) from None
    first = min(max(offset, 0), MAX_OFFSET)
    return slice(first, first + min(max(limit, 0), MAX_LIMIT))
