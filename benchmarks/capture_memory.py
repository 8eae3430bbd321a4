"""The memory of the web server while millions of events go through it.

    python -m benchmarks.capture_memory --events 5000000

Two clients send batches of 500; at every step what the web server's processes occupy is printed, and in the end by how
much it grew behind the first step, when all code has been used once. It should not grow.
"""

import argparse
import os
import subprocess
from dataclasses import dataclass

from benchmarks.capture_events import BATCH, Batches, client_of
from benchmarks.harness import Service, at_once, service

CLIENTS = 2


@dataclass(frozen=True, slots=True)
class Process:
    """A process as `ps` shows it."""

    pid: int
    parent: int
    kilobytes: int
    command: str


def _processes() -> dict[int, Process]:
    shown = subprocess.run(["ps", "-eo", "pid=,ppid=,rss=,args="], check=True, capture_output=True, text=True).stdout
    rows = (line.split(None, 3) for line in shown.splitlines())
    return {int(row[0]): Process(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows if len(row) == 4}


def web_megabytes() -> float:
    """What the largest process of the web server that this process has started occupies."""
    processes = _processes()

    def is_web(process: Process) -> bool:
        own = process
        while own.pid != os.getpid():
            if "experiments_service.web" in own.command:
                return True
            if own.parent not in processes:
                return False
            own = processes[own.parent]
        return False

    return max(process.kilobytes for process in processes.values() if is_web(process)) / 1024


def _send(running: Service, batches: Batches, events: int) -> float:
    """Send so many events from all clients together; the seconds that took."""

    def send(position: int) -> None:
        send_one = client_of(running, batches)
        for _ in range(events // BATCH // CLIENTS):
            send_one()

    return at_once(CLIENTS, send)


def run(running: Service, *, events: int, steps: int) -> None:
    """Send and print."""
    batches = Batches(str(running.credentials["project_api_token"]))
    sizes: list[float] = []
    for step in range(1, steps + 1):
        rate = events // steps / _send(running, batches, events // steps)
        sizes.append(web_megabytes())
        print(f"{events * step // steps:>10} events  {sizes[-1]:6.1f} MB  {rate:6.0f} events/s", flush=True)
    print(f"growth behind the first step: {sizes[-1] - sizes[0]:+.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture_memory", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=20, help="default: %(default)s")
    options = parser.parse_args()
    with service() as running:
        run(running, events=options.events, steps=options.steps)


if __name__ == "__main__":
    main()
