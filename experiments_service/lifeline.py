"""No process of `manage.py serve` outlives the one that started it, even when that one is killed.

The starting process holds the writing end of a pipe for as long as it lives; the reading end is the lifeline of its
children. For worker processes started by multiprocessing the standard library keeps such a pipe already.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait

VARIABLE = "EXPERIMENTS_LIFELINE"


def end_with_starter() -> None:
    """Send this process SIGTERM when the process that passed it a lifeline ends. Without one, do nothing."""
    descriptor = os.environ.pop(VARIABLE, "")
    if descriptor:
        _watch(lambda: os.read(int(descriptor), 1))


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
