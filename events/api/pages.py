"""Pages of lists that are too long to be counted: `{next, previous, results}`."""

from collections.abc import Callable, Iterable
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from common.api.pagination import Pages
from events.api.limits import answered_in_time


class UncountedPages(Pages):
    """Asks for one row more than a page holds to know whether there is a next one."""

    def page(self, request: Request, rows: Callable[[int, int], Iterable[Any]]) -> list[Any]:
        """The rows of the requested page; `rows(limit, offset)` reads them. Raises QueryTimeout."""
        self.request = request
        self.limit = self.get_limit(request) or self.default_limit
        self.offset = self.get_offset(request)
        with answered_in_time():
            found = list(rows(self.limit + 1, self.offset))
        # What the links are made from: enough to tell that there is more.
        self.count = self.offset + len(found)
        return found[: self.limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }


def text_parameter(name: str, description: str, **schema: Any) -> OpenApiParameter:
    """A query parameter that takes a text."""
    return OpenApiParameter(name, {"type": "string", **schema}, description=description)
