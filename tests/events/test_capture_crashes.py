"""Killed in the middle of a stream of batches, the service has afterwards every event it acknowledged, once."""

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests import live_service
from tests.live_service import LiveService
from tests.service.processes import family, left_over

CLIENTS = 2
BATCH = 20


@dataclass
class Stream:
    """Clients that send batch after batch until the service is gone, and what it answered to each."""

    service: LiveService
    acknowledged: list[list[str]] = field(default_factory=list)
    unanswered: list[list[str]] = field(default_factory=list)

    def run(self, random_: random.Random) -> list[threading.Thread]:
        seeds = [random_.getrandbits(64) for _ in range(CLIENTS)]
        threads = [threading.Thread(target=self._send, args=[random.Random(seed)]) for seed in seeds]
        for thread in threads:
            thread.start()
        return threads

    def _send(self, random_: random.Random) -> None:
        with httpx.Client(base_url=self.service.base_url, timeout=30) as client:
            while True:
                uuids = [str(UUID(int=random_.getrandbits(128), version=4)) for _ in range(BATCH)]
                events = [
                    {"event": "sent", "distinct_id": f"user-{random_.randrange(50)}", "uuid": uuid,
                     "properties": {"$set": {"n": random_.randrange(9)}}}
                    for uuid in uuids
                ]  # fmt: skip
                try:
                    answer = client.post("/batch/", json={"api_key": self._token, "batch": events})
                except httpx.HTTPError:
                    self.unanswered.append(uuids)
                    return
                (self.acknowledged if answer.status_code == 200 else self.unanswered).append(uuids)

    @property
    def _token(self) -> str:
        return str(self.service.credentials["project_api_token"])


def stored_uuids(service: LiveService) -> Counter[str]:
    """How often each event is stored."""
    found: Counter[str] = Counter()
    address: str | None = f"{service.base_url}/api/projects/@current/events/?limit=1000"
    with httpx.Client(headers=service.headers, timeout=30) as client:
        while address is not None:
            page = client.get(address).json()
            found.update(event["id"] for event in page["results"])
            address = page["next"]
    return found


def kill_postgres(service: LiveService) -> None:
    pid = int((service.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    service.process.wait(timeout=60)


def kill_service(service: LiveService) -> None:
    service.stop(signal.SIGKILL)


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_while_storing__acknowledged_events_are_there_once(tmp_path: Path, times: int):
    random_ = random.Random(times)
    acknowledged: list[list[str]] = []
    unanswered: list[list[str]] = []
    for turn in range(times):
        service = live_service.start(tmp_path / "data")
        stream = Stream(service)
        threads = stream.run(random_)
        time.sleep(random_.uniform(0.3, 1.2))
        processes = family(service.process.pid)
        (kill_postgres if turn % 2 else kill_service)(service)
        for thread in threads:
            thread.join(timeout=60)
        assert left_over(processes) == set()
        acknowledged += stream.acknowledged
        unanswered += stream.unanswered

    assert acknowledged, "nothing was sent before the kills"
    with live_service.running(tmp_path / "data") as service:
        stored = stored_uuids(service)
    assert [uuids for uuids in acknowledged if any(stored[uuid] != 1 for uuid in uuids)] == []
    # A batch without an answer is stored as a whole or not at all.
    assert [uuids for uuids in unanswered if len({stored[uuid] for uuid in uuids}) != 1] == []
    assert set(stored.values()) == {1}
