"""`manage.py serve` as users start it, for tests that need real HTTP, real processes and real crashes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.own_environment import VARIABLES

ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
START_SECONDS = 60
# What a developer's or a test session's environment may set; the service started here is to use its own defaults, and
# the data directory that it is told, else that of the test.
OWN_VARIABLES = VARIABLES - {"DATA_DIR"} | {"DJANGO_SETTINGS_MODULE"}


@dataclass(frozen=True, slots=True)
class LiveService:
    """A running service. `credentials` are those of its first start."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    base_url: str
    credentials: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials['personal_api_key']}"}

    @property
    def output(self) -> str:
        """Everything the service has printed and logged so far."""
        return output_path(self.data_dir).read_text()

    def stop(self, order: signal.Signals = signal.SIGTERM) -> int:
        """Stop the service as `order` does and return its exit status."""
        self.process.send_signal(order)
        return self.process.wait(timeout=60)


def output_path(data_dir: Path) -> Path:
    return data_dir.with_name(f"{data_dir.name}-output")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a user's shell, with `variables` set."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    return {**kept, **variables}


def manage(*words: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a manage.py command on the data directory to its end."""
    return subprocess.run(
        [*MANAGE, *words, "--data-dir", str(data_dir)],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def start(data_dir: Path, **variables: str) -> LiveService:
    """Start the service on a free port and wait until it answers."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with output_path(data_dir).open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            [*MANAGE, "serve", "--port", "0", "--data-dir", str(data_dir)],
            env=environment(**variables),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    deadline = time.monotonic() + START_SECONDS
    # The line that is printed when the service answers.
    while b"Ready at http" not in output_path(data_dir).read_bytes()[offset:]:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"The service did not start:\n{output_path(data_dir).read_text()}")
        time.sleep(0.05)
    credentials = json.loads((data_dir / "credentials.json").read_text())
    assert httpx.get(f"{credentials['base_url']}/_readyz").status_code == 200
    return LiveService(process=process, data_dir=data_dir, base_url=credentials["base_url"], credentials=credentials)


@contextmanager
def running(data_dir: Path, **variables: str) -> Iterator[LiveService]:
    """The service, stopped afterwards if the test has not stopped it."""
    service = start(data_dir, **variables)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()
