"""What every benchmark needs: a running service with floors, keep-alive clients, and rounds that take turns."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg

from experiments_service import embedded_postgres

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: granian and an embedded PostgreSQL of its own."""

    base_url: str
    credentials: Mapping[str, Any]
    database_url: str
    web_pid: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        # Client libraries say who they are; some answers depend on it.
        return {
            "Authorization": f"Bearer {self.credentials['personal_api_key']}",
            "User-Agent": "posthog-python/7.91.1",
        }

    def connect(self) -> HTTPConnection:
        address = urlsplit(self.base_url)
        return HTTPConnection(address.hostname or "", address.port, timeout=600)

    def manage(self, *words: str) -> str:
        """Run a management command on the service's database; returns what it prints."""
        return _manage(self.environment, *words)

    def resident_bytes(self) -> int:
        """The memory that the web processes hold."""
        pids = [self.web_pid, *_children(self.web_pid)]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return pages * os.sysconf("SC_PAGE_SIZE")

    def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create something; raises RuntimeError when the service refuses."""
        connection = self.connect()
        headers = {**self.headers, "Content-Type": "application/json"}
        connection.request("POST", path, body=json.dumps(document), headers=headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status >= 300:
            raise RuntimeError(f"POST {path}: {response.status} {text.decode()}")
        answer: dict[str, Any] = json.loads(text or b"{}")
        return answer


@contextmanager
def service(*, workers: int = 1) -> Iterator[Service]:
    """Start the service in its production form on throw-away data; everything is gone afterwards."""
    with ExitStack() as stack:
        data_dir = Path(tempfile.mkdtemp(prefix="experiments-bench-"))
        stack.callback(shutil.rmtree, data_dir)
        database = stack.enter_context(embedded_postgres.running(data_dir))
        port = free_port()
        base_url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "SECRET_KEY": "benchmark" * 6,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "THROTTLING_ENABLED": "false",
            "LOG_LEVEL": "INFO",
        }
        _manage(environment, "migrate", "-v0")
        credentials = json.loads(_manage(environment, "bootstrap", "--json", "--data-dir", str(data_dir)))
        log = stack.enter_context((data_dir / "web.log").open("wb"))
        web = subprocess.Popen(
            [sys.executable, "-m", "experiments_service.web", "--port", str(port), "--workers", str(workers)],
            cwd=ROOT,
            env=environment,
            stderr=log,
        )
        stack.callback(web.wait)
        stack.callback(web.terminate)
        started = Service(
            base_url=base_url,
            credentials=credentials,
            database_url=database.url,
            web_pid=web.pid,
            environment=environment,
        )
        _wait_until_ready(started)
        yield started


def _manage(environment: Mapping[str, str], *words: str) -> str:
    line = (sys.executable, "manage.py", *words)
    return subprocess.run(line, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def _children(pid: int) -> list[int]:
    found = [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    return [*found, *(below for child in found for below in _children(child))]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _wait_until_ready(started: Service) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            fetch(started, "/_readyz")
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def fetch(running: Service, path: str) -> bytes:
    """One answer; raises RuntimeError unless it is a 200."""
    return ask(running, path, None)


def ask(running: Service, path: str, body: bytes | None) -> bytes:
    """One answer, to a POST of `body` if there is one; raises RuntimeError unless it is a 200."""
    connection = running.connect()
    try:
        return _ask(connection, path, running.headers, body)
    finally:
        connection.close()


def _ask(connection: HTTPConnection, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    method = "GET" if body is None else "POST"
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, body=body, headers={**headers, **kind})
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {path}: {response.status} {text.decode()}")
    return text


def requests_per_second(
    running: Service, path: str, *, seconds: float, clients: int, body: bytes | None = None
) -> float:
    """How often the answer comes when as many keep-alive clients ask for it again and again."""
    end = time.perf_counter() + seconds
    counts = [0] * clients

    def ask_on(position: int) -> None:
        connection = running.connect()
        try:
            while time.perf_counter() < end:
                _ask(connection, path, running.headers, body)
                counts[position] += 1
        finally:
            connection.close()

    taken = at_once(clients, ask_on)
    return sum(counts) / taken


def at_once(clients: int, act: Callable[[int], None]) -> float:
    """Have each client, known by its position, do its part at the same time; the seconds that all of it took.

    Raises the first failure.
    """
    failures: list[Exception] = []

    def try_to_act(position: int) -> None:
        try:
            act(position)
        except (OSError, RuntimeError, psycopg.Error) as error:
            failures.append(error)

    threads = [threading.Thread(target=try_to_act, args=(position,)) for position in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rates of the service and of its floor, taken in turns; the ratio is that of each pair of rounds."""

    service: list[float]
    floor: list[float]

    @property
    def ratios(self) -> list[float]:
        return [ours / bare for ours, bare in zip(self.service, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def compare(
    running: Service,
    *,
    service_path: str,
    floor_path: str,
    rounds: int,
    seconds: float,
    clients: int,
    body: bytes | None = None,
) -> Comparison:
    """Measure both in turns, so that what else the machine does meets both alike. The first pair only warms up."""
    measured = Comparison(service=[], floor=[])
    for number in range(rounds + 1):
        for path, rates in ((floor_path, measured.floor), (service_path, measured.service)):
            rate = requests_per_second(running, path, seconds=seconds if number else 1, clients=clients, body=body)
            if number:
                rates.append(rate)
    return measured


def spread(values: list[float], form: str) -> str:
    """`median (least to most)`."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
