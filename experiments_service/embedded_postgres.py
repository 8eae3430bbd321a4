"""A real PostgreSQL server for those who have none: started on demand, shared by all commands on one data directory.

The server listens on a Unix socket only. Who may connect is decided by the kernel (peer authentication): the account
that started the server. There is no password to keep.

Two advisory locks make crashes harmless, because the kernel drops them with their process:

- `postgres.users`: shared by every process that uses the server; the last one stops it.
- `postgres.mutex`: held while a process decides to start or stop it.
"""

# ruff: noqa: S603  (every command line here is built from our own parts)

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg

from experiments_service.postgres_binaries import EmbeddedPostgresError, account, program_directory

__all__ = ["EmbeddedPostgresError", "Server", "running"]

ROLE = DATABASE = "experiments"
START_SECONDS = 120  # Recovery after a crash may read much log.
STOP_SECONDS = 60
SOCKET_PATH_BYTES = 100  # The least that any supported system allows, less a reserve.
# Text sorts and compares by code point and changes case by the Unicode rules, on every machine alike.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
SETTINGS = {"listen_addresses": "", "timezone": "UTC", "log_checkpoints": "off", "jit": "off"}
# For throw-away data: nothing has to survive a crash.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
_started: dict[int, subprocess.Popen[bytes]] = {}  # The servers that are children of this process, to be reaped.


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    pid: int
    name: str
    socket_dir: str

    @property
    def url(self) -> str:
        """The DATABASE_URL of the service's database."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return f"postgresql://{ROLE}@/{database}?host={quote(self.socket_dir)}"

    def is_alive(self) -> bool:
        child = _started.get(self.pid)
        if child is not None:
            return child.poll() is None
        return self.name in _command_line(self.pid)


@contextmanager
def running(data_dir: Path, *, forgetful: bool = False) -> Iterator[Server]:
    """The server of `data_dir`, started unless it runs; stopped afterwards unless another process uses it.

    Raises EmbeddedPostgresError with a text for the user. `forgetful` trades durability for speed.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = (data_dir / "postgres").resolve()
    with (data_dir / "postgres.users").open("ab") as users:
        try:
            # An order to end may come at any moment, also while the server starts or just after it has been found.
            yield _enter(cluster=cluster, users=users, forgetful=forgetful)
        finally:
            _leave(cluster=cluster, users=users)


def _enter(*, cluster: Path, users: IO[bytes], forgetful: bool) -> Server:
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        with _mutex(cluster):
            server = _find(cluster)
            if server is None and _is_only_user(users):
                server = _start(cluster, settings=FORGETFUL if forgetful else {})
            if server is not None:
                _wait_until_ready(cluster, server)
                fcntl.flock(users, fcntl.LOCK_SH)
                return server
        # The server is gone and its users have not left yet; or they live where their processes are not visible.
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Another process uses {cluster.parent}, but its PostgreSQL cannot be reached from here (does it run "
                "in another container?). Stop it, or choose another directory with --data-dir."
            )
        time.sleep(0.1)


def _leave(*, cluster: Path, users: IO[bytes]) -> None:
    with _mutex(cluster):
        if _is_only_user(users):
            server = _find(cluster) or _unfinished(cluster)
            if server is not None:
                _stop(server)
    _reap()


def _unfinished(cluster: Path) -> Server | None:
    """A server that this process has started and that has not said yet where it is reached."""
    if not cluster.exists():
        return None
    name = _server_name(cluster)
    found = (Server(pid=pid, name=name, socket_dir="") for pid in _started if name in _command_line(pid))
    return next(found, None)


def _reap() -> None:
    for pid, process in list(_started.items()):
        if process.poll() is not None:
            del _started[pid]


@contextmanager
def _mutex(cluster: Path) -> Iterator[None]:
    with cluster.with_name("postgres.mutex").open("ab") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        yield


def _is_only_user(users: IO[bytes]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- Finding ---------------------------------------------------------------------------------------------------


def _server_name(cluster: Path) -> str:
    """A name that stands in the command line of the server and in the title of each of its processes."""
    found = cluster.stat()
    identity = f"{found.st_dev}:{found.st_ino}"  # Not the path: a directory moved while in use stays the same.
    return f"experiments-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _command_line(pid: int) -> str:
    """The command line of a process, "" when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(  # Where there is no /proc, as on macOS.
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, text=True
    ).stdout


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _find(cluster: Path) -> Server | None:
    """The server of `cluster` if it runs and can be reached. One that cannot be reached any more is stopped."""
    lines = _pid_file(cluster)
    if len(lines) < 5:
        return None
    server = Server(pid=int(lines[0]), name=_server_name(cluster), socket_dir=lines[4])
    if not server.is_alive():
        return None
    if not Path(server.socket_dir).exists():  # Cleaned away with other old files of the temporary directory.
        _stop(server)
        return None
    return server


# --- Starting --------------------------------------------------------------------------------------------------


def _start(cluster: Path, *, settings: Mapping[str, str]) -> Server:
    """Start the server. The caller holds the mutex and knows that nobody uses the cluster."""
    if not (cluster / "PG_VERSION").exists():
        _initialize(cluster, durable=not settings)
    _check_version(cluster)
    _remove_remains(cluster)
    _let_operator_in(cluster)
    socket_dir = _make_socket_dir()
    name = _server_name(cluster)
    options = {**SETTINGS, **settings, "unix_socket_directories": str(socket_dir), "cluster_name": name}
    log_path = cluster.with_name("postgres.log")
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [
                *_program("postgres", cluster=cluster),
                *(word for key, value in options.items() for word in ("-c", f"{key}={value}")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal is meant for the command; it stops the server when its other parts have stopped.
            start_new_session=True,
            **_surroundings(cluster),
        )
    _started[process.pid] = process
    return Server(pid=process.pid, name=name, socket_dir=str(socket_dir))


def _program(name: str, *, cluster: Path) -> list[str]:
    # Another account may not be allowed to walk down to the cluster, but may work in it once it is there.
    other_way_in = account().is_other and Path("/proc/self/cwd").exists()
    return [str(program_directory() / name), "-D", "/proc/self/cwd" if other_way_in else str(cluster)]


def _surroundings(cluster: Path) -> dict[str, Any]:
    return {
        "cwd": cluster,
        "env": {"PATH": os.defpath, "LC_ALL": "C"},
        "umask": 0o077,
        **account().process_arguments(),
    }


def _initialize(cluster: Path, *, durable: bool) -> None:
    """Make a new cluster; one that was left half made is made anew."""
    unfinished = cluster.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    account().own(unfinished)
    result = subprocess.run(
        [
            *_program("initdb", cluster=unfinished),
            f"--username={ROLE}",
            "--auth=peer",
            "--no-instructions",
            *LOCALE,
            *([] if durable else ["--no-sync"]),
        ],
        capture_output=True,
        check=False,
        text=True,
        **_surroundings(unfinished),
    )
    if result.returncode != 0:
        raise EmbeddedPostgresError(f"PostgreSQL could not make its files in {cluster}:\n{result.stderr.strip()}")
    unfinished.rename(cluster)


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    answer = subprocess.run([program_directory() / "postgres", "--version"], capture_output=True, check=True, text=True)
    installed = answer.stdout.split()[-1].partition(".")[0]
    if found != installed:
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {found}, and PostgreSQL {installed} is installed. Restore a dump of "
            "the old data into a new --data-dir, or go back to the earlier release."
        )


def _remove_remains(cluster: Path) -> None:
    """Clear what a killed server left behind: its last processes, its socket directory and its process id file."""
    lines = _pid_file(cluster)
    if not lines:
        return
    name = _server_name(cluster)
    deadline = time.monotonic() + 5
    # Processes of a killed server end by themselves unless they are busy.
    while left := [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if name in _command_line(int(entry.name))]:
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    if len(lines) >= 5:
        _remove_socket_dir(lines[4])
    # The number in the file may belong to some new process by now, which would keep PostgreSQL from starting.
    (cluster / "postmaster.pid").unlink()


def _let_operator_in(cluster: Path) -> None:
    rules = {
        "pg_hba.conf": "local all all peer map=operators\n",
        "pg_ident.conf": f'operators "{account().operator}" {ROLE}\n',
    }
    for file_name, text in rules.items():
        path = cluster / file_name
        path.write_text(text)
        account().own(path)


def _make_socket_dir() -> Path:
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) + len("/experiments-12345678/.s.PGSQL.5432") > SOCKET_PATH_BYTES:
        parent = "/tmp"  # noqa: S108  (mkdtemp makes a private directory of a new name in it)
    path = Path(tempfile.mkdtemp(prefix="experiments-", dir=parent))
    account().own(path)
    return path


def _remove_socket_dir(path: str) -> None:
    if Path(path).name.startswith("experiments-"):
        shutil.rmtree(path, ignore_errors=True)


def _wait_until_ready(cluster: Path, server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(cluster, pid=server.pid):
        if not server.is_alive() or time.monotonic() > deadline:
            _stop(server)
            log = cluster.with_name("postgres.log")
            raise EmbeddedPostgresError(f"PostgreSQL did not start. The end of {log}:\n{_tail(log)}")
        time.sleep(0.01)
    _create_database(server)


def _is_ready(cluster: Path, *, pid: int) -> bool:
    lines = _pid_file(cluster)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _create_database(server: Server) -> None:
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-12:])


# --- Stopping --------------------------------------------------------------------------------------------------


def _stop(server: Server) -> None:
    """Stop the server: cleanly if it obeys in time, in any case. What was committed is never lost."""
    for order, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.kill(server.pid, order)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not server.is_alive():
                _reap()
                _remove_socket_dir(server.socket_dir)
                return
            time.sleep(0.01)
