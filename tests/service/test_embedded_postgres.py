"""The embedded PostgreSQL, when the command that starts it is told to end at a bad moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments_service import embedded_postgres
from experiments_service.embedded_postgres import EmbeddedPostgresError, Server
from tests.service.processes import is_running


def ended_after(function: Callable[..., Any], pids: list[int]) -> Callable[..., Any]:
    """The function, after which an order to end arrives; notes the server's process."""

    def interrupted(*args: Any, **options: Any) -> None:
        server: Server = function(*args, **options)
        assert is_running(server.pid)
        pids.append(server.pid)
        raise SystemExit(143)

    return interrupted


@pytest.mark.parametrize(
    "name", [pytest.param("_start", id="before it is ready"), pytest.param("_enter", id="just after it is ready")]
)
def test_order_to_end__while_the_server_starts__stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pids: list[int] = []
    monkeypatch.setattr(embedded_postgres, name, ended_after(getattr(embedded_postgres, name), pids))
    with pytest.raises(SystemExit), embedded_postgres.running(tmp_path / "data", forgetful=True):
        pytest.fail("it was told to end before")
    (pid,) = pids
    assert not is_running(pid)


def test_order_to_end__while_another_process_uses_the_server__leaves_it_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_postgres.running(tmp_path / "data", forgetful=True) as server:
        monkeypatch.setattr(embedded_postgres, "_enter", ended_after(embedded_postgres._enter, []))
        with pytest.raises(SystemExit), embedded_postgres.running(tmp_path / "data", forgetful=True):
            pytest.fail("it was told to end before")
        assert server.is_alive()


def test_failed_start__without_files_yet__says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to stop then, and nowhere to look for it."""

    def refuse(*args: Any, **options: Any) -> None:
        raise EmbeddedPostgresError("no room")

    monkeypatch.setattr(embedded_postgres, "_initialize", refuse)
    with pytest.raises(EmbeddedPostgresError, match="no room"), embedded_postgres.running(tmp_path / "data"):
        pytest.fail("it cannot have started")
