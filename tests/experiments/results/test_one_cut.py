"""One answer, one state of the data: its metrics agree while events arrive."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from events.store.units import ExposedUnits
from experiments.models import StoredAnswer
from projects.models import Project, User
from tests.cast import key_for
from tests.experiments.results.traffic import SIGNUP, Json, did, exposed

pytestmark = pytest.mark.django_db(transaction=True)

COUNTS: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "source": {"kind": "EventsNode", "event": "signup"},
}
ROUNDS = 3
PATIENCE = 20  # seconds


@pytest.fixture
def arriving(project: Project) -> Iterator[Callable[[], None]]:
    """`arriving()` begins to send visitors, who sign up at once, without a pause until the test is over."""
    over = Event()
    client = Client()
    threads: list[Thread] = []

    def send() -> None:
        number = 0
        try:
            while not over.is_set():
                events: list[Json] = []
                for variant in ("control", "test"):
                    for event in (*exposed(variant, 2), *did("signup", variant, 2)):
                        events.append({**event, "distinct_id": f"{event['distinct_id']}-of-{number}"})
                body = {"api_key": project.api_token, "batch": events}
                assert client.post("/batch/", body, content_type="application/json").status_code == 200
                number += 1
        finally:
            connections.close_all()

    def begin() -> None:
        threads.append(Thread(target=send))
        threads[-1].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join(timeout=PATIENCE)
        assert not thread.is_alive()


class Seen:
    """Looks, on a connection of its own, how many events are stored."""

    def __init__(self) -> None:
        self.signups = 0
        self.over = Event()
        self.thread = Thread(target=self._look)

    def __enter__(self) -> "Seen":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.over.set()
        self.thread.join(timeout=PATIENCE)

    def _look(self) -> None:
        try:
            while not self.over.wait(0.01):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM events_event WHERE event = 'signup'")
                    self.signups = cursor.fetchone()[0]
        finally:
            connections.close_all()

    def wait_for_more(self) -> int:
        """Wait until there are more than now; answers how many there are."""
        before, until = self.signups, monotonic() + PATIENCE
        while self.signups == before:
            assert monotonic() < until, "no events arrive"
            sleep(0.01)
        return self.signups


def test_results__while_events_arrive__metrics_agree(
    project: Project, member: User, arriving: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(headers={"authorization": f"Bearer {key_for(member)}"})
    base = f"/api/projects/{project.pk}/experiments/"
    body = {
        "name": "Blue button",
        "feature_flag_key": "blue-button",
        "start_date": "2026-01-01T00:00:00Z",
        "metrics": [{**COUNTS, "uuid": f"count-{number}"} for number in range(3)],
        "metrics_secondary": [{**SIGNUP, "uuid": "funnel"}],
    }
    experiment = client.post(base, body, content_type="application/json").json()
    real = ExposedUnits.aggregate
    measured: list[int] = []

    def after_news(self: ExposedUnits, plan: Any) -> Any:
        """Each metric is measured when more events are stored than there were at the one before it."""
        measured.append(seen.wait_for_more())
        return real(self, plan)

    arriving()
    with Seen() as seen:
        seen.wait_for_more()
        monkeypatch.setattr(ExposedUnits, "aggregate", after_news)
        answers = [client.get(f"{base}{experiment['id']}/results/?refresh=true").json() for _ in range(ROUNDS)]
    assert len(measured) == 4 * ROUNDS
    assert measured == sorted(set(measured))
    for answer in answers:
        exposures = answer["exposures"]["total_exposures"]
        assert exposures["control"] > 0
        for metric in answer["metrics"]:
            for arm in (metric["result"]["baseline"], *metric["result"]["variant_results"]):
                # All who are exposed have signed up in the same batch, and nobody who is not.
                assert (arm["number_of_samples"], arm["sum"]) == (exposures[arm["key"]], exposures[arm["key"]])
    assert StoredAnswer.objects.count() == 1
