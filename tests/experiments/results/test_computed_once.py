"""Of many who ask the same at once, one computes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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


@pytest.fixture
def doors(client: Client, project: Project, experiment: Json) -> dict[str, Callable[[], Any]]:
    """The ways to ask for the results."""
    base = f"/api/projects/{project.pk}/"
    question = {"query": {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": SIGNUP}}
    return {
        "results": lambda: client.get(f"{base}experiments/{experiment['id']}/results/"),
        "exposures": lambda: client.get(f"{base}experiments/{experiment['id']}/exposures/"),
        "query": lambda: client.post(f"{base}query/", question, content_type="application/json"),
        "query, forced": lambda: client.post(
            f"{base}query/", {**question, "refresh": "force_blocking"}, content_type="application/json"
        ),
    }


@pytest.mark.parametrize("door", ["results", "query", "query, forced"])
def test_same_question__at_the_same_moment__is_computed_once(
    doors: dict[str, Callable[[], Any]], monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    barrier = Barrier(CALLERS, timeout=20)
    taken: list[int] = []
    take_cut, alone = report.take_cut, cache.alone

    def counted(*args: Any, **options: Any) -> Any:
        taken.append(1)
        return take_cut(*args, **options)

    @contextmanager
    def alone_once_all_have_asked(key: str, **options: Any) -> Iterator[None]:
        barrier.wait()
        with alone(key, **options):
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


@pytest.mark.parametrize("door", ["results", "exposures", "query", "query, forced"])
def test_same_question__while_somebody_computes_for_too_long__is_given_up(
    doors: dict[str, Callable[[], Any]], monkeypatch: pytest.MonkeyPatch, settings: Any, door: str
) -> None:
    settings.EXPERIMENT_RESULTS_STATEMENT_TIMEOUT_SECONDS = 0.2
    keys: list[str] = []
    alone = cache.alone

    @contextmanager
    def after_another(key: str, **options: Any) -> Iterator[None]:
        """The other one is inside already, on a connection of its own, and does not come out."""
        keys.append(key)
        with ExitStack() as inside, ThreadPoolExecutor(1) as other:
            other.submit(inside.enter_context, alone(key)).result()
            try:
                with alone(key, **options):
                    yield
            finally:
                other.submit(inside.close).result()
                other.submit(connections.close_all).result()

    monkeypatch.setattr(cache, "alone", after_another)
    answer = doors[door]()
    assert (answer.status_code, answer.json()) == (
        504,
        {
            "type": "server_error",
            "code": "query_timeout",
            "detail": "The query exceeded the time limit of 0.2 seconds.",
            "attr": None,
        },
    )
    # Whoever comes later need not wait for those who have given up.
    monkeypatch.setattr(cache, "alone", alone)
    assert len(keys) == 1
    assert doors[door]().status_code == 200
