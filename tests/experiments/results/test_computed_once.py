"""Of many who ask the same at once, one computes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from experiments.results import cache, report
from projects.models import Project, User
from tests.cast import key_for
from tests.experiments.results.traffic import SIGNUP, Json

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 4


@pytest.fixture
def client(member: User) -> Client:
    return Client(headers={"authorization": f"Bearer {key_for(member)}"})


@pytest.fixture
def experiment(client: Client, project: Project) -> Json:
    body = {"name": "x", "feature_flag_key": "x", "start_date": "2026-01-01T00:00:00Z", "metrics": [SIGNUP]}
    made: Json = client.post(f"/api/projects/{project.pk}/experiments/", body, content_type="application/json").json()
    return made


@pytest.mark.parametrize("door", ["results", "query", "query, forced"])
def test_same_question__at_the_same_moment__is_computed_once(
    client: Client, project: Project, experiment: Json, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    base = f"/api/projects/{project.pk}/"
    question = {"query": {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": SIGNUP}}
    doors: dict[str, Callable[[], Any]] = {
        "results": lambda: client.get(f"{base}experiments/{experiment['id']}/results/"),
        "query": lambda: client.post(f"{base}query/", question, content_type="application/json"),
        "query, forced": lambda: client.post(
            f"{base}query/", {**question, "refresh": "force_blocking"}, content_type="application/json"
        ),
    }
    barrier = Barrier(CALLERS, timeout=20)
    taken: list[int] = []
    take_cut, alone = report.take_cut, cache.alone

    def counted(*args: Any, **options: Any) -> Any:
        taken.append(1)
        return take_cut(*args, **options)

    @contextmanager
    def alone_once_all_have_asked(key: str) -> Iterator[None]:
        barrier.wait()
        with alone(key):
            yield

    monkeypatch.setattr(report, "take_cut", counted)
    monkeypatch.setattr(cache, "alone", alone_once_all_have_asked)

    def ask(_: int) -> Any:
        try:
            return doors[door]()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(ask, range(CALLERS)))
    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert len(taken) == 1
    assert sorted(answer.json()["is_cached"] for answer in answers) == [False, True, True, True]
