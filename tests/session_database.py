"""One throw-away PostgreSQL for a whole test session; each pytest-xdist worker has its own database on it."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments_service import embedded_postgres

_PREFIX = "experiments-tests-"


@contextmanager
def running() -> Iterator[str]:
    """The DATABASE_URL of a new server, which is gone afterwards with all its files."""
    _remove_abandoned()
    data_dir = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (data_dir / "session").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with embedded_postgres.running(data_dir, forgetful=True) as server:
                yield server.url
        finally:
            shutil.rmtree(data_dir)


def _remove_abandoned() -> None:
    """Remove what killed sessions left behind."""
    for data_dir in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with (data_dir / "session").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with embedded_postgres.running(data_dir, forgetful=True):
                    pass  # The last one to leave stops the server.
        except OSError:
            continue  # In use, or another user's.
        shutil.rmtree(data_dir, ignore_errors=True)
