"""Answers to OPTIONS."""

from typing import Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request


class AddressMetadata(BaseMetadata):
    """What an address takes and gives. The OpenAPI document says the rest."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        return {
            "name": view.get_view_name(),
            "allow": view.allowed_methods,
            "renders": [renderer.media_type for renderer in view.renderer_classes],
            "parses": [parser.media_type for parser in view.parser_classes],
        }
