"""Requests of client libraries: any content type, several encodings, JSON read leniently, any origin.

    try:
        sent = sdk_requests.payload(request, limit=2 * MEGABYTE, lz64=False)
    except sdk_requests.UnreadableRequest as error: ...

Texts of the payload may still hold NUL characters, which PostgreSQL takes nowhere: `without_nul` removes them.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, QueryDict
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from common import lz_string

MEGABYTE = 1024 * 1024
METHODS = "GET, POST, OPTIONS, HEAD"
COMPRESSIONS = frozenset({"gzip", "gzip-js", "base64"})

_GZIP_MAGIC = b"\x1f\x8b"
_FORM_FIELD = b"data="
_LONGEST_KEPT_QUERY = 200
# A comma that nothing follows; strings are matched first, so that commas inside them are left alone. A string without
# an end is matched too, lest every quotation mark in it be tried as a beginning.
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*[}\]])', re.DOTALL)


class UnreadableRequest(Exception):
    """The request cannot be decoded; the text says why, in words fit for its sender."""


class UnsupportedCompression(UnreadableRequest):
    """The query names a compression that is not offered."""


class NotJSON(UnreadableRequest):
    """The body was unpacked but holds no JSON."""


class PayloadTooLarge(Exception):
    """The request is larger than the limit, packed or unpacked. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the limit is {limit} bytes")
        self.limit = limit


def payload(request: HttpRequest, *, limit: int, lz64: bool) -> Any:
    """The JSON value that the request carries: in its body, or in the query parameter `data` of a GET.

    None when it carries nothing. `limit` holds for the unpacked bytes. `lz64` says whether that compression is
    offered here. Raises UnreadableRequest or PayloadTooLarge, nothing else.
    """
    compression = query(request).get("compression", "")
    if compression and compression not in COMPRESSIONS and not (lz64 and compression == "lz64"):
        raise UnsupportedCompression(f"unsupported compression {compression[:20]!r}")
    packed = _sent(request)
    if not packed.strip():
        return None
    return loads(_unpacked(packed, request=request, compression=compression, limit=limit), limit=limit)


def query(request: HttpRequest) -> Mapping[str, str]:
    """The parameters of the query, each with the last value sent. Clients send few different ones, so they are kept."""
    text = request.META.get("QUERY_STRING", "")
    return _parsed(text) if len(text) <= _LONGEST_KEPT_QUERY else request.GET.dict()


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Mapping[str, str]:
    # WSGI hands bytes over as Latin-1. A plain mapping finds out faster than a QueryDict that it has no such key.
    return MappingProxyType(QueryDict(text.encode("latin-1")).dict())


def _sent(request: HttpRequest) -> bytes:
    if request.method == "GET":
        return _with_plus(query(request).get("data", ""))
    try:
        return request.body
    except RequestDataTooBig as error:
        raise PayloadTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from error
    except UnreadablePostError as error:
        raise UnreadableRequest("the body ended early") from error


def _with_plus(field: str) -> bytes:
    """A field of a query or form. A `+` of base64 that was not encoded has arrived as a blank."""
    if field.lstrip()[:1] not in ("{", "["):
        field = field.replace(" ", "+")
    return field.encode("utf-8", "replace")


def _unpacked(packed: bytes, *, request: HttpRequest, compression: str, limit: int) -> bytes:
    """The bytes of the JSON text; at most `limit`."""
    zipped = compression in ("gzip", "gzip-js") or request.META.get("HTTP_CONTENT_ENCODING", "").lower() == "gzip"
    if packed.startswith(_GZIP_MAGIC):
        text = _gunzip(packed, limit=limit)
    elif _is_form(packed, content_type=request.content_type):
        text = _form_data(packed, lz64=compression == "lz64", limit=limit)
    elif compression == "lz64":
        text = _unlz64(packed, limit=limit)
    elif zipped:
        raise UnreadableRequest("the body is not gzip")
    else:
        text = packed
    if len(text) > limit:
        raise PayloadTooLarge(limit)
    return text


def _is_form(packed: bytes, *, content_type: str | None) -> bool:
    """Whether the body has the field `data`. Much that is called a form is JSON: curl calls everything so."""
    if packed.startswith(_FORM_FIELD):
        return True
    called_form = content_type == "application/x-www-form-urlencoded"
    return called_form and b"&" + _FORM_FIELD in packed and packed.lstrip()[:1] not in (b"{", b"[")


def _gunzip(packed: bytes, *, limit: int) -> bytes:
    """Unzip, several members too, and never more than a little over `limit`."""
    parts: list[bytes] = []
    size = 0
    while packed.startswith(_GZIP_MAGIC):
        unzip = zlib.decompressobj(wbits=31)
        try:
            part = unzip.decompress(packed, limit - size + 1)
        except zlib.error as error:
            raise UnreadableRequest(f"gzip: {error}") from error
        size += len(part)
        if size > limit:
            raise PayloadTooLarge(limit)
        if not unzip.eof:
            raise UnreadableRequest("gzip: the body ended early")
        parts.append(part)
        packed = unzip.unused_data
    return b"".join(parts)


def _form_data(form: bytes, *, lz64: bool, limit: int) -> bytes:
    """The unpacked `data` of a form: base64 or plain JSON, or lz64."""
    field = next(field for field in form.split(b"&") if field.startswith(_FORM_FIELD))
    data = _with_plus(unquote_plus(field.removeprefix(_FORM_FIELD).decode("latin-1"), errors="replace"))
    if lz64:
        return _unlz64(data, limit=limit)
    if data.lstrip()[:1] in (b"{", b"["):
        return data
    text = _from_base64(data)
    if text is None:
        raise UnreadableRequest("the form's data is not base64")
    if text.startswith(_GZIP_MAGIC):
        raise UnreadableRequest("gzip inside a form is not supported")
    return text


def _unlz64(packed: bytes, *, limit: int) -> bytes:
    try:
        return lz_string.decompress_base64(packed.decode("ascii").strip(), limit=limit).encode("utf-8", "replace")
    except lz_string.TooLong as error:
        raise PayloadTooLarge(limit) from error
    except ValueError as error:
        raise UnreadableRequest(f"lz64: {error}") from error


def _from_base64(packed: bytes) -> bytes | None:
    """Decoded base64, in either alphabet, padded or not; None when it is none."""
    standard = packed.translate(_URL_SAFE_TO_STANDARD, b" \t\r\n").rstrip(b"=")
    try:
        return base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None


_URL_SAFE_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def loads(text: bytes, *, limit: int) -> Any:
    """Lenient JSON; a text that is none is tried as base64 of JSON. Raises NotJSON or PayloadTooLarge."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        strict_refusal = str(error)
    if text.lstrip()[:1] not in (b"{", b"[", b'"'):
        decoded = _from_base64(text)
        if decoded is not None and decoded.lstrip()[:1] in (b"{", b"["):
            if len(decoded) > limit:
                raise PayloadTooLarge(limit)
            text = decoded
    try:
        return _lenient(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise NotJSON(strict_refusal) from error


def _finite_or_none(number: str) -> float | None:
    value = float(number)
    return value if value - value == 0 else None


def _lenient(text: str) -> Any:
    """What strict parsers refuse: NaN and Infinity are null, trailing commas go, half characters are replaced."""
    value = json.loads(
        _TRAILING_COMMA.sub(lambda found: found[1] or "", text),
        parse_constant=lambda name: None,
        parse_float=_finite_or_none,
    )
    # Written and read once more, so that no lone surrogate is left and numbers are what the strict path makes of them.
    return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def without_nul(value: Any) -> Any:
    """The value with NUL characters taken out of all its texts and keys."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value


def allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let a page of any origin read the answer: its origin and the headers it asks for are mirrored."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None:
        return
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Allow-Credentials"] = "true"
    response["Access-Control-Allow-Methods"] = METHODS
    wanted = request.headers.get("Access-Control-Request-Headers")
    if wanted is not None:
        response["Access-Control-Allow-Headers"] = wanted
    patch_vary_headers(response, ["Origin"])
