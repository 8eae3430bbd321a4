"""Query parameters as the OpenAPI document shows them."""

from collections.abc import Iterable

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter


def comma_list(name: str, kind: OpenApiTypes = OpenApiTypes.STR, *, description: str) -> OpenApiParameter:
    """Several values in one parameter, joined by commas."""
    return OpenApiParameter(name, kind, many=True, style="form", explode=False, description=description)


def order_by(fields: Iterable[str], *, default: str) -> OpenApiParameter:
    """The parameter `order`: one of the fields, reversed by a leading `-`."""
    names = list(fields)
    return OpenApiParameter(
        "order",
        OpenApiTypes.STR,
        enum=[*names, *(f"-{name}" for name in names)],
        default=default,
        description="A leading `-` reverses the order.",
    )
