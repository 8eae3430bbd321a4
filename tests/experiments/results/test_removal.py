"""What the daily removal takes away of what was computed once, and above all what it leaves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.test import override_settings
from django.utils import timezone

from experiments.models import (
    Experiment,
    ExperimentMetricResult,
    PointStatus,
    RecalculationStatus,
    StoredAnswer,
    TimeseriesRecalculation,
)
from experiments.results import removal, timeseries
from experiments.tasks import remove_old_answers
from projects.models import Project
from tests.experiments.conftest import Experiments
from tests.experiments.results.traffic import PURCHASES, SIGNUP, Json

YOUNG, OLD = timedelta(days=89), timedelta(days=91)
FREQUENTIST, BAYESIAN = ({"stats_config": {"method": method}} for method in ("frequentist", "bayesian"))
Stored = Callable[..., str]


def removed() -> int:
    return removal.remove_old(now=timezone.now())


def left() -> set[str]:
    return set(StoredAnswer.objects.values_list("key", flat=True))


@pytest.fixture
def running(experiments: Experiments) -> Json:
    started = (timezone.now() - timedelta(days=200)).isoformat()
    return experiments.made(start_date=started, metrics=[SIGNUP])


@pytest.fixture
def stored(running: Json) -> Stored:
    """`stored("key", age=..., ...)`: a stored answer."""

    def make(key: str, *, age: timedelta, **fields: Any) -> str:
        columns: Json = {"experiment_id": running["id"], "question": "results?", "is_final": False, "body": {}}
        StoredAnswer.objects.create(key=key, computed_at=timezone.now() - age, **columns | fields)
        return key

    return make


# --- Answers -----------------------------------------------------------------------------------------------------


def test_old_answer__with_a_newer_one_to_the_same_question__goes(stored: Stored) -> None:
    stored("superseded", age=OLD)
    stored("newer", age=YOUNG)
    assert removed() == 1
    assert left() == {"newer"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"age": YOUNG}, id="not old"),
        pytest.param({"is_final": True}, id="of an experiment that has ended"),
        pytest.param({"question": "exposures?"}, id="the newest to its question"),
        pytest.param({"question": ""}, id="stored before questions were"),
    ],
)
def test_answer__stays(stored: Stored, fields: Json) -> None:
    kept = stored("kept", **{"age": OLD} | fields)
    stored("newer", age=timedelta())
    assert removed() == 0
    assert kept in left()


def test_old_answers__however_many__the_newest_stays(stored: Stored) -> None:
    for days in range(91, 99):
        stored(str(days), age=timedelta(days=days))
    removed()
    assert left() == {"91"}


def test_old_answer__newer_one_of_another_experiment__stays(stored: Stored, experiments: Experiments) -> None:
    other = experiments.running(feature_flag_key="other")
    stored("kept", age=OLD)
    stored("newer", age=YOUNG, experiment_id=other["id"])
    assert removed() == 0


@pytest.mark.parametrize(("months", "stays"), [(3, True), (12, False), (0, False)])
def test_superseded_answer__of_an_experiment_whose_events_have_expired__stays(
    stored: Stored, months: int, stays: bool
) -> None:
    """It began 200 days ago."""
    stored("superseded", age=OLD)
    stored("newer", age=YOUNG)
    with override_settings(EVENTS_RETENTION_MONTHS=months):
        removed()
    assert ("superseded" in left()) is stays


def test_answers_of_an_experiment__deleted__stay_until_it_is_gone_for_good(
    stored: Stored, running: Json, experiments: Experiments
) -> None:
    stored("of the experiment", age=OLD, is_final=True)
    experiments.changed(running["id"], deleted=True)
    assert removed() == 0
    StoredAnswer.objects.update(experiment_id=running["id"] + 1)
    assert removed() == 1
    assert left() == set()


def test_removal__is_done_in_batches_and_leaves_what_is_too_much_for_a_day(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in range(91, 99):
        stored(str(days), age=timedelta(days=days))
    monkeypatch.setattr(removal, "BATCH_SIZE", 2)
    monkeypatch.setattr(removal, "MOST_BATCHES", 2)
    assert [removed(), removed(), removed()] == [4, 3, 0]


def test_answer__computed_anew_while_it_is_removed__stays(stored: Stored) -> None:
    stored("recomputed", age=OLD)
    stored("newer", age=YOUNG)
    found = removal._superseded(timezone.now())

    def computed_anew(now: Any) -> Any:
        """Finds it first, and then it is computed."""
        keys = list(found.values_list("pk", flat=True))
        StoredAnswer.objects.filter(pk__in=keys).update(computed_at=now)
        return found

    with patch.object(removal, "_superseded", computed_anew):
        assert removed() == 0
    assert left() == {"recomputed", "newer"}


# --- As users ask ------------------------------------------------------------------------------------------------


class Asker:
    """Asks for the results of an experiment in several ways."""

    def __init__(self, experiments: Experiments, running: Json) -> None:
        self.experiments, self.path = experiments, experiments.url(f"{running['id']}/results")
        self.query = f"/api/projects/{experiments.project.pk}/query/"
        self.id = running["id"]

    def results(self, **query: str) -> Json:
        body: Json = self.experiments.client.get(self.path, query).json()
        return body

    def metric(self, **body: Any) -> Json:
        query = {"kind": "ExperimentQuery", "experiment_id": self.id, "metric": SIGNUP}
        answer: Json = self.experiments.client.post(self.query, {"query": query, **body}).json()
        return answer

    def exposures(self) -> Json:
        body: Json = self.experiments.client.get(self.path.replace("results", "exposures")).json()
        return body

    def everything(self) -> list[Json]:
        return [self.results(), self.results(breakdown="$browser"), self.metric(), self.exposures()]


@pytest.fixture
def asker(experiments: Experiments, running: Json) -> Asker:
    return Asker(experiments, running)


def grow_old(age: timedelta) -> None:
    StoredAnswer.objects.update(computed_at=timezone.now() - age)


def test_answers_under_other_settings__go_and_those_under_the_present_ones_stay(
    asker: Asker, experiments: Experiments
) -> None:
    experiments.changed(asker.id, **FREQUENTIST)
    asker.everything()
    grow_old(OLD + timedelta(days=1))
    old = left()
    experiments.changed(asker.id, **BAYESIAN)
    present = asker.everything()
    assert [answer["is_cached"] for answer in present] == [False] * 4
    StoredAnswer.objects.exclude(pk__in=old).update(computed_at=timezone.now() - OLD)
    present_keys = left() - old
    assert removed() == 4
    assert left() == present_keys
    assert asker.metric(refresh="force_cache")["last_refresh"] is not None


def test_answers_to_different_questions__do_not_supersede_each_other(asker: Asker) -> None:
    asker.everything()
    for age, key in enumerate(sorted(left())):
        StoredAnswer.objects.filter(pk=key).update(computed_at=timezone.now() - OLD - timedelta(days=age))
    assert removed() == 0


def test_answers_of_an_ended_experiment__stay_whatever_the_settings(asker: Asker, experiments: Experiments) -> None:
    experiments.changed(asker.id, end_date=timezone.now().isoformat())
    asker.everything()
    grow_old(OLD)
    experiments.changed(asker.id, **FREQUENTIST)
    asker.everything()
    assert removed() == 0


def test_exposures_of_asked_windows__the_newest_stays(experiments: Experiments, running: Json) -> None:
    """Also of windows that are over: the experiment's own goes on."""
    flag = {"key": "blue-button", "filters": {"multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}}
    for day in range(1, 4):
        query = {
            "kind": "ExperimentExposureQuery",
            "experiment_id": running["id"],
            "experiment_name": "x",
            "feature_flag": flag,
            "start_date": "2026-01-01T00:00:00Z",
            "end_date": f"2026-01-0{day + 1}T00:00:00Z",
        }
        path = f"/api/projects/{experiments.project.pk}/query/"
        assert experiments.client.post(path, {"query": query}).status_code == 200
    computed = StoredAnswer.objects.order_by("computed_at").values_list("pk", flat=True)
    newest = list(computed)[-1]
    for days, key in enumerate(list(computed)[::-1]):
        StoredAnswer.objects.filter(pk=key).update(computed_at=timezone.now() - OLD - timedelta(days=days))
    assert removed() == 2
    assert left() == {newest}


# --- Timeseries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "age", "goes"),
    [
        (RecalculationStatus.COMPLETED, OLD, True),
        (RecalculationStatus.FAILED, OLD, True),
        (RecalculationStatus.COMPLETED, YOUNG, False),
        (RecalculationStatus.FAILED, YOUNG, False),
        (RecalculationStatus.PENDING, OLD, False),
        (RecalculationStatus.IN_PROGRESS, OLD, False),
    ],
)
def test_recalculation__goes_some_time_after_it_is_over(
    running: Json, status: RecalculationStatus, age: timedelta, goes: bool
) -> None:
    made = TimeseriesRecalculation.objects.create(
        experiment_id=running["id"], metric=SIGNUP, fingerprint="f", status=status
    )
    TimeseriesRecalculation.objects.filter(pk=made.pk).update(updated_at=timezone.now() - age)
    assert removed() == int(goes)
    assert TimeseriesRecalculation.objects.exists() is not goes


def test_points__of_every_series__stay(running: Json) -> None:
    """Of metrics that are gone and of earlier fingerprints too: whoever knows these can ask for them."""
    long_ago = timezone.now() - timedelta(days=1000)
    for uuid, fingerprint in (("signup", "earlier"), ("gone", "f")):
        made = ExperimentMetricResult.objects.create(
            experiment_id=running["id"],
            metric_uuid=uuid,
            fingerprint=fingerprint,
            query_from=long_ago,
            query_to=long_ago + timedelta(days=1),
            status=PointStatus.COMPLETED,
            result={},
            completed_at=long_ago,
        )
        ExperimentMetricResult.objects.filter(pk=made.pk).update(created_at=long_ago, updated_at=long_ago)
    assert removed() == 0
    assert ExperimentMetricResult.objects.count() == 2


def test_points__of_daily_calculations__are_at_most_two_a_day_and_series(experiments: Experiments) -> None:
    """One of the calculation itself and one of midnight, which the next calculation adds."""
    first = timezone.now().replace(hour=5, minute=0) - timedelta(days=10)
    experiment = Experiment.objects.get(
        pk=experiments.made(start_date=first.isoformat(), metrics=[SIGNUP, PURCHASES])["id"]
    )
    for day in range(5):
        with patch("django.utils.timezone.now", return_value=first + timedelta(days=day, hours=1)):
            timeseries.fill(experiment.pk)
    assert ExperimentMetricResult.objects.count() == 2 * (5 + 4)


@pytest.mark.django_db
def test_task__removes(stored: Stored, project: Project) -> None:
    stored("superseded", age=OLD)
    stored("newer", age=YOUNG)
    remove_old_answers(timestamp=0)
    assert left() == {"newer"}
