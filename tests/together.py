"""Two requests at the same moment: real threads, each with a connection of its own.

A deadlock, or any other failure of a thread, fails the test; so does what takes longer than `PATIENCE`. Tests that use
this need committed rows: `pytest.mark.django_db(transaction=True)`.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from projects.models import Project, User
from tests.cast import key_for

PATIENCE = 20  # seconds

Json = dict[str, Any]
Send = Callable[[], Any]


class Caller:
    """Sends JSON requests; may be shared by threads."""

    def __init__(self, project: Project, key: str) -> None:
        self.base = f"/api/projects/{project.pk}/"
        self.client = Client(headers={"authorization": f"Bearer {key}"})

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        text = "" if body is None else json.dumps(body)
        return self.client.generic(method, self.base + path, text, content_type="application/json", headers=headers)

    def made(self, path: str, body: Json) -> Json:
        answer = self.send("POST", path, body)
        assert answer.status_code in {200, 201}, answer.content
        made: Json = answer.json()
        return made

    def experiment(self, **body: Any) -> Json:
        return self.made("experiments/", {"name": "Cart", "feature_flag_key": "cart"} | body)


@pytest.fixture
def caller(project: Project, member: User, settings: Any) -> Caller:
    # Many rounds are more requests than a minute allows.
    settings.THROTTLING_ENABLED = False
    return Caller(project, key_for(member))


Together = Callable[..., list[Any]]


@pytest.fixture
def together() -> Iterator[Together]:
    """`together(first, second)`: both sent at one moment, each by its own thread on its own connection."""
    barrier = Barrier(2, timeout=PATIENCE)

    def at_once(act: Send) -> Any:
        barrier.wait()
        return act()

    def hang_up() -> None:
        barrier.wait()  # so that each thread gets one of the two calls
        connections.close_all()

    with ThreadPoolExecutor(2) as threads:

        def run(first: Send, second: Send) -> list[Any]:
            waiting = [threads.submit(at_once, first), threads.submit(at_once, second)]
            return [future.result(timeout=PATIENCE) for future in waiting]

        yield run
        for future in [threads.submit(hang_up), threads.submit(hang_up)]:
            future.result(timeout=PATIENCE)


@contextmanager
def meanwhile(*acts: Callable[[Random], Any]) -> Iterator[None]:
    """Until the end of the block each act is done again and again, by its own thread with its own chance."""
    stop = Event()

    def again_and_again(act: Callable[[Random], Any], seed: int) -> None:
        random = Random(seed)
        try:
            while not stop.is_set():
                act(random)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        running = [threads.submit(again_and_again, act, seed) for seed, act in enumerate(acts)]
        try:
            yield
        finally:
            stop.set()
        for thread in running:
            thread.result(timeout=PATIENCE)


def statuses(answers: list[Any]) -> tuple[int, ...]:
    return tuple(answer.status_code for answer in answers)


def details(answers: list[Any]) -> set[str]:
    return {answer.json()["detail"] for answer in answers if answer.status_code >= 400}
