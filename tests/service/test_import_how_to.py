"""What docs/how-to/import.md says is true: its example, the progress bar, and going on after a kill."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests import live_service
from tests.live_service import MANAGE, ROOT, LiveService

HOW_TO = (ROOT / "docs" / "how-to" / "import.md").read_text()
ROWS = 4000
BAR = re.compile(r"\[(#*)(\.*)\] history\.jsonl: (\d+) rows, \d+ rows/s, \d+ s left")


@pytest.fixture
def project_id(service: LiveService) -> Iterator[int]:
    """A project of its own in the running service."""
    with httpx.Client(base_url=service.base_url, headers=service.headers) as client:
        made = client.post("/api/organizations/@current/projects/", json={"name": "History"})
        assert made.status_code == 201, made.text
        yield int(made.json()["id"])


def import_(service: LiveService, path: Path, project_id: int, *options: str) -> list[str]:
    """The lines that the command prints."""
    done = live_service.manage(
        "import_events", str(path), "--project", str(project_id), *options, data_dir=service.data_dir
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def counts(line: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"(read|stored|duplicate|skipped) (\d+)", line)}


def test_example_of_the_document__prints_what_it_says(service: LiveService, project_id: int, tmp_path: Path):
    (example,) = re.findall(r"```json\n(.*?)```", HOW_TO, re.DOTALL)
    (tmp_path / "history.jsonl").write_text(example)
    told = re.findall(r"^\$ \.venv/bin/python manage\.py import_events (.*)\n((?:[^$`].*\n)+)", HOW_TO, re.MULTILINE)
    assert len(told) == 3
    for command, printed in told:
        words = command.replace("history.jsonl --project 1", "").split()
        assert import_(service, tmp_path / "history.jsonl", project_id, *words) == printed.splitlines()


@contextmanager
def at_a_terminal(service: LiveService, path: Path, project_id: int, *options: str) -> Iterator[tuple[int, list[str]]]:
    """The command, with a terminal to write to: its process id, and what it has written so far."""
    controller, terminal = pty.openpty()
    words = ["import_events", str(path), "--project", str(project_id), *options, "--data-dir", str(service.data_dir)]
    process = subprocess.Popen(
        [*MANAGE, *words], env=live_service.environment(), stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    written: list[str] = []

    def read() -> None:
        # The end of a terminal is an error of reading.
        with suppress(OSError):
            while part := os.read(controller, 65536):
                written.append(part.decode())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process.pid, written
    finally:
        process.wait(timeout=60)
        reader.join(timeout=60)
        os.close(controller)


def test_killed__the_same_command_goes_on_and_stores_each_event_once(
    service: LiveService, project_id: int, tmp_path: Path
):
    path = tmp_path / "history.jsonl"
    rows = [
        {"event": f"e-{number}", "distinct_id": f"user-{number % 50}", "timestamp": "2025-11-03T10:15:00Z"}
        for number in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with at_a_terminal(service, path, project_id, "--batch-size", "50") as (pid, written):
        deadline = time.monotonic() + 60
        while len(BAR.findall("".join(written))) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
    shown = [(len(done) + len(left), int(rows)) for done, left, rows in BAR.findall("".join(written))]
    assert {width for width, _ in shown} == {30}
    before = shown[-1][1]
    assert 0 < before < ROWS

    rest = counts(import_(service, path, project_id)[-1])

    # A batch may have been stored and not been shown any more.
    assert rest["read"] in (ROWS - before, ROWS - before - 50)
    assert (rest["stored"], rest["duplicate"]) == (rest["read"], 0)
    assert len(stored_names(service, project_id)) == len(set(stored_names(service, project_id))) == ROWS


def stored_names(service: LiveService, project_id: int) -> list[str]:
    names: list[str] = []
    address: str | None = f"{service.base_url}/api/projects/{project_id}/events/?limit=1000"
    with httpx.Client(headers=service.headers, timeout=30) as client:
        while address is not None:
            page = client.get(address).json()
            names += [event["event"] for event in page["results"]]
            address = page["next"]
    return names
