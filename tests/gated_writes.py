"""In every test: rows of flags are written only below functions that ask the approval gate.

Each SQL statement that writes them is traced to the function of the service that sent it and to those that called it.
What tests write themselves does not count.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from approvals.gate import GATED_WRITES

ROOT = Path(__file__).resolve().parent.parent
OWN = tuple(f"{path.parent}/" for path in ROOT.glob("*/apps.py"))
TESTS = f"{ROOT / 'tests'}/"
# All but that a deleted user is nobody's maker any more.
_WRITES_FLAGS = re.compile(
    r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "feature_flags_featureflag"'
    r'(?! SET "(?:created_by|last_modified_by)_id" = \S+ WHERE)'
)

# Writers that need not ask, each with the reason.
UNASKED = {
    "feature_flags.keys.free_key": "renames or removes deleted flags, which serve nobody",
    "projects.services.delete_project": "the flags go with their project",
    "projects.services.delete_organization": "the flags go with their organization",
}

round_the_gate: list[str] = []


def _watch(execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
    if isinstance(sql, str) and _WRITES_FLAGS.match(sql):
        callers = _callers(sys._getframe(1))
        if callers and not any(name in GATED_WRITES or name in UNASKED for name in callers):
            round_the_gate.append(" < ".join(callers))
    return execute(sql, *rest)


def _callers(frame: FrameType | None) -> list[str]:
    """The functions of the service on the stack, the innermost first; none when a test sent the statement itself."""
    names: list[str] = []
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(TESTS) and not names:
            return []
        if path.startswith(OWN):
            names.append(f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return names


def _watch_connection(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(_watch)


def pytest_configure() -> None:
    connection_created.connect(_watch_connection)


@pytest.fixture(autouse=True)
def flags_are_written_behind_the_gate() -> Iterator[None]:
    """Fails the test in which a flag was written without a question."""
    round_the_gate.clear()
    yield
    assert round_the_gate == []
