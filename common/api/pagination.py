"""Pages of lists: `limit` and `offset`, lenient, with absolute links."""

from typing import Any

from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response


class Pages(LimitOffsetPagination):
    """`{count, next, previous, results}`. Unusable values of `limit` and `offset` mean the default."""

    default_limit = 100
    max_limit = 1000

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "count": self.count,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )

    def get_offset(self, request: Request) -> int:
        # Beyond any table, and still a number PostgreSQL takes.
        return min(super().get_offset(request), 2**62)
