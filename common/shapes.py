"""Shape: the base of every nested document, and how the problems of a refused one are told.

Values are taken as JSON has them: `"5"` is no number, `true` is no integer, an unknown field is a mistake.
"""

from collections.abc import Iterable
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

MAX_SHOWN = 15
_MAX_NAME = 80
_MAX_FIELDS = 1000
_LIMIT = {"limit": _MAX_FIELDS}


class Shape(BaseModel):
    """A frozen value with named fields. Its fields are called as they are called on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, value: Any) -> Any:
        """A request of many megabytes may hold a million unknown fields; they are not worth a problem each."""
        if isinstance(value, dict) and len(value) > _MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", "Input should have no more than {limit} fields", _LIMIT)
        return value


class Problem(TypedDict):
    """One thing wrong with a document: where, which kind of mistake, in words."""

    loc: tuple[str | int, ...]
    type: str
    msg: str


def problems(error: ValidationError) -> list[Problem]:
    """What is wrong, in the order of the document's fields. No sent value is repeated; names of fields are."""
    found = error.errors(include_url=False, include_input=False)
    return [_problem(details["loc"], details["type"], details["msg"], details.get("ctx", {})) for details in found]


def _problem(loc: tuple[str | int, ...], kind: str, message: str, context: dict[str, Any]) -> Problem:
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        # Their messages repeat the sent tag and place the mistake one level above the field that holds it.
        loc = (*loc, context["discriminator"].strip("'"))
        expected = context.get("expected_tags")
        message = "Field required" if expected is None else f"Input should be one of {expected}"
    return {"loc": tuple(_named(part) for part in loc), "type": kind, "msg": message}


def _named(part: str | int) -> str | int:
    return f"{part[:_MAX_NAME]}...(truncated)" if isinstance(part, str) and len(part) > _MAX_NAME else part


def listed(found: Iterable[Problem]) -> str:
    """The problems as one text; beyond the first `MAX_SHOWN` only their number."""
    shown: list[Any] = list(found)
    more = len(shown) - MAX_SHOWN
    if more > 0:
        shown[MAX_SHOWN:] = [{"truncated": f"...{more} more"}]
    return str(shown)
