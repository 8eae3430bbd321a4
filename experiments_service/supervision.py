"""Child processes that live and die together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from experiments_service import lifeline

# ruff: noqa: S603  (every command line here is built from our own parts)

STOP_SECONDS = 40
_POLL_SECONDS = 0.1


class Ended(Exception):
    """A part that should run has ended; the text says which."""


class Asked(BaseException):
    """Somebody asked us to end, with Ctrl-C or SIGTERM. Like KeyboardInterrupt, no ordinary handler catches it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python program: the arguments of the interpreter, and the environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


@contextmanager
def running(programs: Mapping[str, Program], *, directory: Path) -> Iterator[Callable[[], None]]:
    """Run programs, by name, side by side in `directory`.

    Yields a check that raises Ended when one of them has ended. Afterwards all are stopped, in the given order.
    They also end when this process is killed.
    """
    children: dict[str, subprocess.Popen[bytes]] = {}
    reading_end, writing_end = os.pipe()
    try:
        for name, program in programs.items():
            children[name] = subprocess.Popen(
                [sys.executable, *program.arguments],
                cwd=directory,
                env={**program.environment, **lifeline.passed_on(reading_end)},
                pass_fds=[reading_end],
                stdin=subprocess.DEVNULL,
                # Ctrl-C in the terminal reaches this process only, which then stops the others one after the other.
                start_new_session=True,
            )

        def check() -> None:
            for name, child in children.items():
                if child.poll() is not None:
                    raise Ended(f"The {name} ended unexpectedly (status {child.returncode}).")

        yield check
    finally:
        for child in children.values():
            _stop(child)
        os.close(writing_end)
        os.close(reading_end)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextmanager
def orders_to_end() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises Asked in here; later ones do not disturb the orderly stop."""

    def order(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Asked

    signal.signal(signal.SIGINT, order)
    signal.signal(signal.SIGTERM, order)
    yield


def watch(*checks: Callable[[], None]) -> None:
    """Call the checks again and again until one raises."""
    while True:
        for check in checks:
            check()
        time.sleep(_POLL_SECONDS)
