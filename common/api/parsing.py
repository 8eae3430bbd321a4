"""Reading request bodies: strict JSON, forms, and the characters that no text may hold."""

import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.http.request import UnreadablePostError
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import BaseParser, MultiPartParser

from common import documents

_ENCODED_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_Context = Mapping[str, Any] | None


class RequestTooLarge(APIException):
    """413: the body is larger than the service reads."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "request_too_large"
    exception_type = "invalid_request"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request body exceeds the limit of {limit} bytes.")


def refuse_bad_characters(value: Any) -> None:
    """Raise ValidationError if any string or key in `value` holds NUL or a lone surrogate."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, Mapping):
            for key in item:
                _check_text(key)
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def _refuse_null() -> NoReturn:
    raise ValidationError("Null characters are not allowed.", code="null_characters_not_allowed")


def _refuse_surrogate(character: str) -> NoReturn:
    raise ValidationError(
        f"Surrogate characters are not allowed: U+{ord(character):X}.", code="surrogate_characters_not_allowed"
    )


def _check_text(text: str) -> None:
    if "\x00" in text:
        _refuse_null()
    if not text.isascii():
        for character in text:
            if "\ud800" <= character <= "\udfff":
                _refuse_surrogate(character)


def refuse_bad_query(request: HttpRequest) -> None:
    """Raise ValidationError if a query parameter, name or value, holds NUL or a lone surrogate."""
    raw: str = request.META.get("QUERY_STRING", "")
    if "%" not in raw and raw.isascii() and "\x00" not in raw:
        return
    # Read from the raw query: where Django shows parameters, an encoded surrogate is already a replacement character.
    # WSGI hands bytes over as Latin-1.
    decoded = unquote_to_bytes(raw.encode("latin-1", "replace"))
    if b"\x00" in decoded:
        _refuse_null()
    surrogate = _ENCODED_SURROGATE.search(decoded)
    if surrogate is not None:
        _refuse_surrogate(surrogate[0].decode("utf-8", "surrogatepass"))


def mapping_of(content: Any) -> dict[str, Any]:
    """A parsed body as a plain dict, names that a form repeats with the list of their values.

    Raises ValidationError for a body that is no mapping.
    """
    if isinstance(content, QueryDict):
        return {name: values[0] if len(values) == 1 else list(values) for name, values in content.lists()}
    if not isinstance(content, dict):
        raise ValidationError(f"Invalid data. Expected a dictionary, but got {type(content).__name__}.")
    return content


def _read(stream: IO[Any], context: _Context) -> bytes:
    """The whole body; raises RequestTooLarge, by the announced length before a byte is read."""
    limit: int = settings.MAX_REQUEST_BYTES
    _check_announced_length(context)
    try:
        text: bytes = stream.read(limit + 1)
    except UnreadablePostError as error:  # the client went away
        raise ParseError("The request body ended early.") from error
    if len(text) > limit:
        raise RequestTooLarge(limit)
    return text


def _check_announced_length(context: _Context) -> None:
    request = (context or {}).get("request")
    announced = "" if request is None else request.META.get("CONTENT_LENGTH") or ""
    if announced.isdecimal() and int(announced) > settings.MAX_REQUEST_BYTES:
        raise RequestTooLarge(settings.MAX_REQUEST_BYTES)


class StrictJSONParser(BaseParser):
    """application/json. An empty body counts as `{}`."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: _Context = None) -> Any:
        text = _read(stream, parser_context)
        if not text.strip():
            return {}
        try:
            value = documents.loads(text)
        except documents.DocumentError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        refuse_bad_characters(value)
        return value


class CleanFormParser(BaseParser):
    """application/x-www-form-urlencoded, always UTF-8."""

    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: _Context = None) -> QueryDict:
        text = _read(stream, parser_context)
        try:
            pairs = parse_qsl(
                text.decode(),
                keep_blank_values=True,
                errors="surrogatepass",
                max_num_fields=settings.DATA_UPLOAD_MAX_NUMBER_FIELDS,
            )
        except ValueError as error:
            raise ParseError(f"Form parse error - {error}") from error
        refuse_bad_characters(pairs)
        form = QueryDict(mutable=True)
        for name, value in pairs:
            form.appendlist(name, value)
        return form


class CleanMultiPartParser(MultiPartParser):
    """multipart/form-data."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: _Context = None) -> Any:
        _check_announced_length(parser_context)
        try:
            form = super().parse(stream, media_type, parser_context)
        except SuspiciousOperation as error:  # too many fields or files
            raise ParseError(f"Multipart form parse error - {error}") from error
        refuse_bad_characters([list(pair) for pair in form.data.lists()])
        return form
