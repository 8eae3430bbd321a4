"""Pages counted from 1, and the history of objects in such pages: what every `activity/` route answers with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

from activity.models import ActivityEntry

ITEM_PAGE = 10
MAX_ITEM_PAGE = 100
_FARTHEST = 2**60  # beyond any table, and still a number PostgreSQL takes

# For `@extend_schema(parameters=...)` of routes that answer with `item_activity`.
ITEM_ACTIVITY_PARAMETERS = [
    OpenApiParameter("page", {"type": "integer", "minimum": 1, "default": 1}, description="Which page, from 1."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_ITEM_PAGE, "default": ITEM_PAGE},
        description="How many entries a page holds.",
    ),
]


def positive(text: str | None, *, default: int, limit: int) -> int:
    """The number in `text`, at most `limit`; what is no number above zero means the default."""
    if text is None or not text.isascii() or not text.isdigit() or int(text[:20]) == 0:
        return default
    return min(int(text[:20]), limit)


@dataclass(frozen=True, slots=True)
class Page:
    """The page a request asks for."""

    request: Request
    number: int
    size: int

    @classmethod
    def asked(cls, request: Request, *, size_name: str, default: int, limit: int) -> "Page":
        """The page of the request's `page` and `size_name` parameters."""
        query = request.query_params
        return cls(
            request=request,
            number=positive(query.get("page"), default=1, limit=_FARTHEST // limit),
            size=positive(query.get(size_name), default=default, limit=limit),
        )

    def cut(self, entries: QuerySet[Any]) -> QuerySet[Any]:
        """The entries of this page; past the end there are none."""
        start = (self.number - 1) * self.size
        return entries[start : start + self.size]

    def links(self, total: int) -> dict[str, str | None]:
        """Absolute links to the neighbours, the other parameters kept; None where there is none."""
        here = self.request.build_absolute_uri()
        following = replace_query_param(here, "page", self.number + 1) if self.number * self.size < total else None
        if self.number == 1:
            return {"next": following, "previous": None}
        preceding = self.number - 1
        back = remove_query_param(here, "page") if preceding == 1 else replace_query_param(here, "page", preceding)
        return {"next": following, "previous": back}


def item_activity(request: Request, entries: QuerySet[ActivityEntry]) -> dict[str, Any]:
    """The answer of an `activity/` route: the requested page of `entries`, newest first."""
    page = Page.asked(request, size_name="limit", default=ITEM_PAGE, limit=MAX_ITEM_PAGE)
    total = entries.count()
    newest_first = entries.select_related("user").order_by("-created_at", "-pk")
    return {"results": _shown(list(page.cut(newest_first))), **page.links(total), "total_count": total}


def _shown(entries: Sequence[ActivityEntry]) -> list[dict[str, Any]]:
    return [
        {
            "id": entry.pk,
            "user": _actor(entry),
            "activity": entry.activity,
            "scope": entry.scope,
            "item_id": entry.item_id,
            "detail": {"id": None, "merge": None, **entry.detail},
            "created_at": entry.created_at,
        }
        for entry in entries
    ]


def _actor(entry: ActivityEntry) -> dict[str, Any] | None:
    if entry.is_system:
        return {"first_name": "System", "email": None, "is_system": True}
    # A user who has been deleted since is nobody.
    return None if entry.user is None else {"first_name": entry.user.first_name, "email": entry.user.email}
