"""The OpenAPI document's own rules."""

from drf_spectacular.openapi import AutoSchema


class OperationSchema(AutoSchema):
    """How one operation is described."""
