"""Writing answers: JSON by orjson with stored documents spliced in, HTML for people in a browser."""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.functional import Promise
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request

from common import documents

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def _plain(value: Any) -> Any:
    """What orjson does not know by itself: lazy texts, mappings and integers beyond 64 bits."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not part of an answer")


def to_json(value: Any) -> bytes:
    """The JSON bytes of an answer; non-finite numbers are null, times end in `Z`."""
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits: rare, legal JSON, and not for orjson.
        return documents.dumps(_written_out(value)).encode()


def _written_out(value: Any) -> Any:
    """An answer in plain values, its fragments parsed: in them too integers and the form of numbers stay."""
    if isinstance(value, orjson.Fragment):
        return json.loads(orjson.dumps(value))
    if isinstance(value, Mapping):
        return {str(key): _written_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_written_out(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return json.loads(orjson.dumps(value, default=_plain, option=_OPTIONS))


class DocumentRenderer(BaseRenderer):
    """application/json. The answer may hold `orjson.Fragment`s, which are written as they are."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else to_json(data)


class BrowsableRenderer(BrowsableAPIRenderer):
    """The browsable API. Forms are raw JSON and start empty: prefilled ones would write fields nobody meant to."""

    template = "common/browsable_api.html"

    def get_default_renderer(self, view: Any) -> BaseRenderer:
        return _IndentedRenderer()

    def show_form_for_method(self, view: Any, method: str, request: Request, obj: Any) -> bool:
        return method in view.allowed_methods and method != "DELETE"

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        return None

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        serializer = getattr(data, "serializer", None)
        if serializer is None and not hasattr(view, "get_serializer"):
            return None
        return super().get_raw_data_form(data, view, method, request)


class _IndentedRenderer(DocumentRenderer):
    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(orjson.loads(to_json(data)), option=orjson.OPT_INDENT_2)


class PreferJSON(DefaultContentNegotiation):
    """HTML only when Accept prefers it; `*/*` and no Accept at all mean JSON."""

    settings_format_kwarg = None
