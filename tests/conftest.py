"""What every test may use: the database of the session and, on demand, the running service."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import environ
import pytest
from django.db import connections

from feature_flags.definitions_cache import cache
from tests import live_service, session_database

pytest_plugins = [
    "tests.browser",
    "tests.capturing",
    "tests.cast",
    "tests.documented_answers",
    "tests.gated_writes",
    "tests.together",
]

_resources = pytest.StashKey[ExitStack]()
_database_url = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_resources] = ExitStack()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_resources].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the process that distributes the tests: tell each worker where the one server is."""
    node.workerinput["database_url"] = _session_database_url(node.config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of the running service go to one worker, so that it is started once."""
    for item in items:
        if "service" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("service"))


def _session_database_url(config: pytest.Config) -> str:
    """The server of this session, started at the first call; a DATABASE_URL in the environment is used instead."""
    if _database_url not in config.stash:
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            config.stash[_database_url] = workerinput["database_url"]
        elif url := os.environ.get("DATABASE_URL"):
            config.stash[_database_url] = url
        else:
            config.stash[_database_url] = config.stash[_resources].enter_context(session_database.running())
    return config.stash[_database_url]


@pytest.fixture(scope="session")
def database_url(pytestconfig: pytest.Config) -> str:
    """Where the PostgreSQL of the session is; for tests that need a database of their own on it."""
    return _session_database_url(pytestconfig)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_url: str, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Called by pytest-django before it makes the test database; tests without a database start no server."""
    connections.settings["default"].update(environ.Env.db_url_config(database_url))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The test database, which cannot be dropped while the process listens on it."""
    yield
    cache.close()


@pytest.fixture(autouse=True)
def data_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of commands that are not told one: each test's own, and not there before a command makes it.

    Without it they would read and write that of the checkout, where a developer's service may be running.
    """
    path = tmp_path_factory.getbasetemp() / f"data-{uuid4()}"
    monkeypatch.setenv("DATA_DIR", str(path))
    return path


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_service.LiveService]:
    """The real service: `manage.py serve` as its own process, with its own data directory and PostgreSQL.

    One for all tests of a session: tests that use it make their own projects and objects.
    """
    data_dir: Path = tmp_path_factory.mktemp("live") / "data"
    with live_service.running(data_dir) as started:
        yield started
