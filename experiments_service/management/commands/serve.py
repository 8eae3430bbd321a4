"""`manage.py serve`: the whole service in one command."""

import fcntl
import os
import socket
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from experiments_service import embedded_mode, first_start, health, supervision

START_SECONDS = 60
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)


class Command(BaseCommand):
    help = "Start everything: database, migrations, first keys, web server and background worker. Ctrl-C stops it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        embedded_mode.data_dir_option(parser)
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default: %(default)s)")
        parser.add_argument(
            "--workers",
            type=int,
            default=int(os.environ.get("WEB_WORKERS", "1")),
            help="web worker processes (default: %(default)s)",
        )

    def handle(self, *, data_dir: Path, host: str, port: int, workers: int, **options: Any) -> None:
        with supervision.orders_to_end(), _only_one(data_dir):
            try:
                self._serve(data_dir=data_dir, host=host, port=_free_port(host, port), workers=workers)
            except supervision.Asked:
                self.stdout.write("Stopped.")
            except supervision.Ended as end:
                raise CommandError(f"{end} Everything else was stopped.") from end

    def _serve(self, *, data_dir: Path, host: str, port: int, workers: int) -> None:
        if not health.is_migrated():
            call_command("migrate", interactive=False, verbosity=0)
        base_url = f"http://{_name_in_urls(host)}:{port}"
        credentials = _credentials(data_dir / first_start.FILE_NAME, base_url=base_url)
        if host in ANY_ADDRESS:
            os.environ.setdefault("ALLOWED_HOSTS", "*")
        else:
            os.environ.setdefault("ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{_name_in_urls(host)}")
        connection.close()
        web = ["-m", "experiments_service.web", "--host", host, "--port", str(port), "--workers", str(workers)]
        worker = ["manage.py", "worker", "--data-dir", str(data_dir)]
        programs = {
            "web server": supervision.Program(web, os.environ),
            "worker": supervision.Program(worker, _environment_of_worker()),
        }
        with supervision.running(programs, directory=settings.BASE_DIR) as check_children:
            _wait_until_ready(base_url, check=check_children)
            self._greet(base_url=base_url, credentials=credentials, path=data_dir / first_start.FILE_NAME)
            supervision.watch(check_children, _check_database)

    def _greet(self, *, base_url: str, credentials: dict[str, Any] | None, path: Path) -> None:
        lines = [
            "",
            f"Ready at {base_url}",
            "",
            f"  API             {base_url}/api/projects/@current/experiments/",
            f"  Browsable API   {base_url}/",
            f"  API docs        {base_url}/api/schema/swagger-ui/  and  {base_url}/api/schema/redoc/",
            f"  Admin           {base_url}/admin/",
            "",
        ]
        if credentials is None:
            lines += [
                f"  {path} is missing, and keys are stored as hashes only. Make new ones with",
                "  manage.py create_user and manage.py create_personal_api_key.",
            ]
        else:
            lines += [
                f"  Sign in as      {credentials['email']}  with password  {credentials['password']}",
                f"  API key         {credentials['personal_api_key']}",
                f"  Project         {credentials['project_id']}  with token  {credentials['project_api_token']}",
                f"  Secret token    {credentials['project_secret_api_key']}",
                "",
                f"  All of this is in {path}. Ctrl-C stops the service.",
            ]
        self.stdout.write("\n".join([*lines, ""]))
        self.stdout.flush()


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go of it when this process ends, however it ends."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "serve.pid").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip()
            raise CommandError(
                f"{data_dir} is in use: process {pid} serves it already. Stop that one (Ctrl-C in its terminal, or "
                f"`kill {pid}`), or give this one its own directory with --data-dir."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Asked before anything is started, for a message that helps."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            number: int = probe.getsockname()[1]
            return number
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose others with --host and --port."
        ) from error


def _name_in_urls(host: str) -> str:
    if host in ANY_ADDRESS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _credentials(path: Path, *, base_url: str) -> dict[str, Any] | None:
    """Those of the first start, with the address of this one."""
    credentials = first_start.bootstrap(base_url=base_url, path=path) or first_start.read(path)
    if credentials is not None and credentials["base_url"] != base_url:
        credentials["base_url"] = base_url
        first_start.write(credentials, path=path)
    return credentials


def _environment_of_worker() -> dict[str, str]:
    """Without the address of the embedded server: a worker that finds it itself is one of its users.

    When this process is killed, the worker is the last one to leave and stops the server.
    """
    embedded = embedded_mode.server is not None
    return {name: value for name, value in os.environ.items() if not (embedded and name == "DATABASE_URL")}


def _wait_until_ready(base_url: str, *, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        check()
        try:
            with urllib.request.urlopen(f"{base_url}/_readyz", timeout=5):  # noqa: S310  (our own http address)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise supervision.Ended(f"The web server did not answer within {START_SECONDS} seconds.")


def _check_database() -> None:
    server = embedded_mode.server
    if server is not None and not server.is_alive():
        raise supervision.Ended("The embedded PostgreSQL ended unexpectedly. Its log is postgres.log.")
