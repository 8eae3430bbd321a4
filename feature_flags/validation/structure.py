"""The shape of `filters`: which keys there are, of which JSON type. Unknown keys are dropped at every level.

What is kept comes back as it was sent: keys, lists and numbers in their order and form. Only what means the same in
several spellings is brought to one: property keys are text, `min` is `gte`, `max` is `lte`, payloads are JSON text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from common import documents
from common.errors import Invalid

MAX_BYTES = 512 * 1024
MAX_GROUP_TYPE_INDEX = 4
OPERATOR_SPELLINGS = {"min": "gte", "max": "lte"}

# Takes the value and the path that leads to it, answers the value as it is kept.
Reader = Callable[[Any, str], Any]

_INDEX = re.compile(r"\[\d+\]")


def parse(filters: Any) -> dict[str, Any]:
    """`filters` as sent, reduced to the known keys. Raises Invalid for a value of the wrong type."""
    if not isinstance(filters, dict):
        raise Invalid(f"Filters must be a dictionary, got {type(filters).__name__}", attr="filters")
    check_size(filters)
    if "version" in filters:
        raise Invalid(
            "filters.version is reserved. Remove it from the request.", code="reserved_config_version", attr="filters"
        )
    return _members(filters, "", _FILTERS)


def check_size(filters: Mapping[str, Any]) -> None:
    """Raise Invalid when the document is too large to be handed to every client."""
    if len(documents.dumps(filters).encode()) > MAX_BYTES:
        raise Invalid("Feature flag filters exceed maximum size of 512KB", attr="filters")


def _refuse(path: str, code: str, text: str) -> NoReturn:
    raise Invalid(f"{path}: {text}", code=f"structural.{_INDEX.sub('', path)}.{code}", attr="filters")


def _members(value: Any, path: str, readers: Mapping[str, Reader], required: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        text = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
        _refuse(path, "invalid_input", text)
    prefix = f"{path}." if path else ""
    for name in required:
        if name not in value:
            _refuse(prefix + name, "required", "This field is required.")
    return {name: readers[name](item, prefix + name) for name, item in value.items() if name in readers}


def _object(readers: Mapping[str, Reader], required: tuple[str, ...] = ()) -> Reader:
    return lambda value, path: _members(value, path, readers, required)


def _list(reader: Reader, *, may_be_empty: bool = True) -> Reader:
    def read(value: Any, path: str) -> list[Any]:
        if value is None:
            _refuse(path, "null", "This field may not be null.")
        if not isinstance(value, list):
            _refuse(path, "not_a_list", f'Expected a list of items but got type "{type(value).__name__}".')
        if not value and not may_be_empty:
            _refuse(path, "empty", "This list may not be empty.")
        return [reader(item, f"{path}[{position}]") for position, item in enumerate(value)]

    return read


def _nullable(reader: Reader, instead: Any = None) -> Reader:
    return lambda value, path: instead if value is None else reader(value, path)


def _text(value: Any, path: str) -> str:
    if value is None:
        _refuse(path, "null", "This field may not be null.")
    if not isinstance(value, str):
        _refuse(path, "invalid_input", "Not a valid string.")
    return value


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        _refuse(path, "invalid_input", "Must be a valid boolean.")
    return value


def _number(value: Any, path: str) -> int | float:
    if value is None:
        _refuse(path, "null", "This field may not be null.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(path, "invalid_input", "A valid number is required.")
    return value


def _integer(value: Any, path: str) -> int:
    if value is None:
        _refuse(path, "null", "This field may not be null.")
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(path, "invalid_input", "A valid integer is required.")
    return value


def _percentage(value: Any, path: str) -> int | float:
    number = _number(value, path)
    if not 0 <= number <= 100:
        raise Invalid(f"{path} must be between 0 and 100, got {documents.dumps(number)}", attr="filters")
    return number


def _group_type_index(value: Any, path: str) -> int:
    number = _integer(value, path)
    if number < 0:
        _refuse(path, "min_value", "Ensure this value is greater than or equal to 0.")
    if number > MAX_GROUP_TYPE_INDEX:
        _refuse(path, "max_value", f"Ensure this value is less than or equal to {MAX_GROUP_TYPE_INDEX}.")
    return number


def _sort_key(value: Any, path: str) -> str | int | float:
    return value if isinstance(value, str) else _number(value, path)


def _property_key(value: Any, path: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return documents.dumps(value)
    return _text(value, path)


def _operator(value: Any, path: str) -> str:
    text = _text(value, path)
    return OPERATOR_SPELLINGS.get(text, text)


def _property_value(value: Any, path: str) -> Any:
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, dict | list) for item in items):
        _refuse(path, "invalid_input", "Expected a string, a number, a boolean, null or a list of these.")
    return value


def _payloads(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Invalid("Payloads must be passed as a dictionary", attr="filters")
    return {key: item if isinstance(item, str) else documents.dumps(item) for key, item in value.items()}


_PROPERTY = _object(
    {
        "key": _property_key,
        "value": _property_value,
        "operator": _nullable(_operator, "exact"),
        "type": _text,
        "group_type_index": _nullable(_group_type_index),
        "negation": _nullable(_boolean, instead=False),
        "label": _nullable(_text),
    },
    required=("key", "type"),
)
_GROUP = _object(
    {
        "properties": _nullable(_list(_PROPERTY), instead=[]),
        "rollout_percentage": _nullable(_percentage),
        "variant": _nullable(_text),
        "aggregation_group_type_index": _nullable(_group_type_index),
        "description": _nullable(_text),
        "sort_key": _nullable(_sort_key),
    }
)
_VARIANT = _object(
    {
        "key": _text,
        "name": _nullable(_text),
        "rollout_percentage": _percentage,
        "description": _nullable(_text),
    },
    required=("key", "rollout_percentage"),
)
_FILTERS: Mapping[str, Reader] = {
    "groups": _list(_GROUP),
    "multivariate": _nullable(_object({"variants": _list(_VARIANT, may_be_empty=False)}, required=("variants",))),
    "payloads": _nullable(_payloads, instead={}),
    "aggregation_group_type_index": _nullable(_group_type_index),
    "feature_enrollment": _nullable(_boolean, instead=False),
    "early_exit": _nullable(_boolean, instead=False),
    "holdout": _nullable(
        _object(
            {"id": _integer, "exclusion_percentage": _percentage},
            required=("id", "exclusion_percentage"),
        )
    ),
}
