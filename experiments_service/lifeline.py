"""No process of `manage.py serve` outlives the one that started it, even when that one is killed.

The starting process holds the writing end of a pipe for as long as it lives; the reading end is the lifeline of its
children. For worker processes started by multiprocessing the standard library keeps such a pipe already.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait

VARIABLE = "EXPERIMENTS_LIFELINE"


def passed_on(reading_end: int) -> dict[str, str]:
    """The variables that tell a child of this process where its lifeline is, a descriptor that it inherits."""
    return {VARIABLE: f"{reading_end} {os.getpid()}"}


def end_with_starter() -> None:
    """Send this process SIGTERM when the process that passed it a lifeline has ended. Without one, do nothing."""
    told = os.environ.pop(VARIABLE, "")
    if told:
        descriptor, starter = map(int, told.split())
        _watch(lambda: _wait_for_the_end(descriptor, starter))


def _wait_for_the_end(descriptor: int, starter: int) -> None:
    os.read(descriptor, 1)
    # A killed process drops its pipe some time before its locks when others keep the processor busy. Who ends by it
    # is to see that it is the last one.
    while os.getppid() == starter:
        time.sleep(0.01)


def end_with_parent() -> None:
    """Send this multiprocessing child SIGTERM when its parent ends. In any other process, do nothing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        _watch(lambda: wait([parent.sentinel]))


def _watch(returns_at_the_end: Callable[[], object]) -> None:
    def end() -> None:
        returns_at_the_end()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, name="lifeline", daemon=True).start()
