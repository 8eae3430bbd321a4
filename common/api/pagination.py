"""Pages of lists: `limit` and `offset`, lenient, with absolute links."""

from collections.abc import Callable
from typing import Any

from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response


class Pages(LimitOffsetPagination):
    """`{count, next, previous, results}`. Unusable values of `limit` and `offset` mean the default."""

    default_limit = 100
    max_limit = 1000

    def read(self, request: Request, page: Callable[[int, int], tuple[list[Any], int]]) -> Response:
        """The answer for a reader that is given limit and offset and returns the page and the count in one go."""
        limit = self.get_limit(request) or self.default_limit
        self.request, self.limit, self.offset = request, limit, self.get_offset(request)
        shown, self.count = page(limit, self.offset)
        return self.get_paginated_response(shown)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "count": self.count,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            _query_number("limit", "How many to show at most.", minimum=1, maximum=1000, default=100),
            _query_number("offset", "How many to leave out before.", minimum=0, default=0),
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "description": "How many there are in all."},
                "next": {**link, "description": "The address of the next page."},
                "previous": {**link, "description": "The address of the page before."},
                "results": schema,
            },
        }

    def get_offset(self, request: Request) -> int:
        # Beyond any table, and still a number PostgreSQL takes.
        return min(super().get_offset(request), 2**62)


def _query_number(name: str, description: str, **bounds: int) -> dict[str, Any]:
    schema = {"type": "integer", **bounds}
    return {"in": "query", "name": name, "required": False, "description": description, "schema": schema}
