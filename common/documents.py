"""Nested JSON documents: read from the wire, kept as text in the database, spliced into answers unparsed.

Documents are stored in PostgreSQL's `json` type (the text itself), not `jsonb`: the order of keys and the form
of numbers come back as sent, and a list of a hundred experiments is answered without parsing one of them.
"""

import json
import math
from typing import TYPE_CHECKING, Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.functions import Cast

MAX_DEPTH = 100


class DocumentError(ValueError):
    """The text is not a JSON document this service accepts; the message says why."""


def _refuse_constant(name: str) -> Any:
    raise DocumentError(f"Out of range float values are not JSON compliant: {name}")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DocumentError(f"Number out of range: {text[:40]}")
    return number


def depth_of(value: Any) -> int:
    """How many containers lie inside each other in `value`; 0 for a plain value."""
    depth = 0
    containers = [value] if isinstance(value, (dict, list)) else []
    while containers:
        depth += 1
        containers = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return depth


def loads(text: bytes | str) -> Any:
    """Parse strict JSON.

    Raises DocumentError for invalid UTF-8, NaN, Infinity, numbers beyond a double, integers of more than
    4300 digits and nesting over 100 levels.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        value = json.loads(decoded, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError as error:
        raise DocumentError(f"Nesting exceeds {MAX_DEPTH} levels") from error
    except (DocumentError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DocumentError(str(error)) from error
    except ValueError as error:  # the interpreter's limit, told in its own terms
        raise DocumentError("Number out of range: an integer of more than 4300 digits") from error
    if depth_of(value) > MAX_DEPTH:
        raise DocumentError(f"Nesting exceeds {MAX_DEPTH} levels")
    return value


def dumps(value: Any) -> str:
    """The compact text of a document, keys in their order, characters unescaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def same_document(one: Any, other: Any) -> bool:
    """Whether two documents say the same in the same form; only the order of keys is no difference."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _canonical(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_canonical(value) for value in document]
    # True and 1, 1 and 1.0 are equal in Python and different in JSON.
    return type(document).__name__, document


def fragment(text: str | None) -> orjson.Fragment | None:
    """A stored document as a part of an answer, without parsing it."""
    return None if text is None else orjson.Fragment(text)


if TYPE_CHECKING:
    _AnyField = models.Field[Any, Any]
else:
    _AnyField = models.Field  # not generic at run time


class DocumentField(_AnyField):
    """A JSON document as its own text. In Python the attribute is the parsed value.

    Two documents cannot be compared in SQL, so querysets that hold one must not be made distinct.
    """

    description = "JSON document stored as text"
    empty_strings_allowed = False

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        # As text: psycopg would otherwise parse the column itself, also where nobody looks at it.
        return f"({sql})::text", params

    def from_db_value(self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper) -> Any:
        return None if value is None else json.loads(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return dumps(self.value_from_object(obj))

    def to_python(self, value: Any) -> Any:
        return value


def as_text(path: str) -> Cast:
    """The unparsed text of the document at `path`, for `annotate()` and `values_list()`."""
    return Cast(path, models.TextField())
