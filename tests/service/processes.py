"""Which processes run, from /proc: what a stopped service must not leave behind."""

import socket
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path


def _state_and_parent(pid: int) -> tuple[str, int]:
    """("", 0) when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[1])


def is_running(pid: int) -> bool:
    """Whether the process lives; one that only waits to be reaped does not."""
    return _state_and_parent(pid)[0] not in ("", "Z")


def family(pid: int) -> set[int]:
    """The process, its children, their children and so on."""
    children: defaultdict[int, set[int]] = defaultdict(set)
    for entry in Path("/proc").glob("[0-9]*"):
        children[_state_and_parent(int(entry.name))[1]].add(int(entry.name))
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for parent in new for child in children[parent]}
    return found


def wait_for_sharers(path: Path, *, number: int, within_seconds: float = 60) -> None:
    """Wait until that many processes hold a shared lock on the file."""
    inode = f":{path.stat().st_ino}"
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        held = [lock for lock in locks if lock[1] == "FLOCK" and lock[3] == "READ" and lock[5].endswith(inode)]
        if len(held) >= number:
            return
        time.sleep(0.05)
    raise AssertionError(f"not {number} processes share {path}")


def left_over(pids: Collection[int], *, within_seconds: float = 60) -> set[int]:
    """Those of the processes that still run after the time; returns as soon as there are none."""
    deadline = time.monotonic() + within_seconds
    while (left := {pid for pid in pids if is_running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
