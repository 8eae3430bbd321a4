"""Reading request bodies: strict JSON, forms, and the characters that no text may hold."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser

from common import documents
from common.api.errors import RequestTooLarge


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


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValidationError("Null characters are not allowed.", code="null_characters_not_allowed")
    if not text.isascii():
        for character in text:
            if "\ud800" <= character <= "\udfff":
                raise ValidationError(
                    f"Surrogate characters are not allowed: U+{ord(character):X}.",
                    code="surrogate_characters_not_allowed",
                )


def refuse_bad_query(parameters: Iterable[tuple[str, list[str]]]) -> None:
    """The same for query parameters, given as (name, values)."""
    for name, values in parameters:
        _check_text(name)
        for value in values:
            _check_text(value)


class StrictJSONParser(JSONParser):
    """application/json. An empty body counts as `{}`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.MAX_REQUEST_BYTES
        text = stream.read(limit + 1)
        if len(text) > limit:
            raise RequestTooLarge(limit)
        if not text.strip():
            return {}
        try:
            value = documents.loads(text)
        except documents.DocumentError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        refuse_bad_characters(value)
        return value


class CleanFormParser(FormParser):
    """application/x-www-form-urlencoded."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        form = super().parse(stream, media_type, parser_context)
        refuse_bad_query(form.lists())
        return form


class CleanMultiPartParser(MultiPartParser):
    """multipart/form-data."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        form = super().parse(stream, media_type, parser_context)
        refuse_bad_query(form.data.lists())
        return form
