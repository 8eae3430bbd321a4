"""What a command runs on when nothing is configured: the PostgreSQL and the secrets of a data directory."""

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from experiments_service import embedded_postgres

DEFAULT_DATA_DIR = ".data"
# The commands that take --data-dir themselves. For Django's own ones it is taken out of the command line.
OWN_COMMANDS = frozenset(
    {"serve", "bootstrap", "worker", "create_user", "create_personal_api_key", "import_events", "demo"}
)
DATABASE_COMMANDS = OWN_COMMANDS | {
    "changepassword",
    "clearsessions",
    "createsuperuser",
    "dbshell",
    "dumpdata",
    "flush",
    "loaddata",
    "migrate",
    "procrastinate",
    "shell",
    "showmigrations",
    "sqlflush",
}

# The embedded server that the running command uses, if it uses one.
server: embedded_postgres.Server | None = None


def data_dir_option(parser: argparse.ArgumentParser) -> None:
    """Declare --data-dir on a command of our own."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("DATA_DIR") or DEFAULT_DATA_DIR),
        help="directory of the embedded PostgreSQL and of credentials.json (default: %(default)s)",
    )


@contextmanager
def environment(argv: Sequence[str]) -> Iterator[list[str]]:
    """Set DATABASE_URL for a command that needs a database and has none; yields the command line to run.

    Raises EmbeddedPostgresError. Call it before Django's settings are loaded.
    """
    command = argv[1] if len(argv) > 1 else ""
    if command not in DATABASE_COMMANDS or {"-h", "--help"} & set(argv):
        yield list(argv)
        return
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    data_dir_option(parser)
    options, others = parser.parse_known_args(argv[1:])
    data_dir: Path = options.data_dir.expanduser().resolve()
    if not os.environ.get("SECRET_KEY"):
        os.environ["SECRET_KEY"] = _lasting_secret(data_dir / "secret_key")
    words = [argv[0], *others]
    if command in OWN_COMMANDS:
        words += ["--data-dir", str(data_dir)]
    if os.environ.get("DATABASE_URL"):
        yield words
        return
    # An order to end becomes an exception, so that the server is stopped on the way out.
    signal.signal(signal.SIGTERM, _end)
    global server
    with embedded_postgres.running(data_dir) as server:
        os.environ["DATABASE_URL"] = server.url
        os.environ.setdefault("THROTTLING_ENABLED", "false")
        yield words


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _lasting_secret(path: Path) -> str:
    """The secret of the data directory, made at first use; sessions and encrypted payloads depend on it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Written whole or not at all, and never over another process's.
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(50))
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return path.read_text()
