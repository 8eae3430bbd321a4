"""Results by day: what is stored of each day, when, and how it is read."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from events.store.base import StoreTimeout
from experiments.models import (
    Experiment,
    ExperimentMetricResult,
    PointStatus,
    RecalculationStatus,
    TimeseriesRecalculation,
    TimeseriesRun,
)
from experiments.results import recalculations, report, schedule, timeseries
from experiments.results.days import MAX_DAYS, day_before, days_between, end_of
from projects.models import Project, User
from tests.cast import key_for
from tests.experiments.conftest import Experiments
from tests.experiments.results.traffic import PURCHASES, SIGNUP, Json, did, exposed

FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"
DAILY = {"timeseries": True}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Series:
    """Reads and recalculates the timeseries of one project's experiments."""

    def __init__(self, experiments: Experiments) -> None:
        self.experiments = experiments

    def read(self, experiment: Json, uuid: str = "signup", fingerprint: str | None = None) -> Json:
        asked = {"metric_uuid": uuid, "fingerprint": fingerprint or self.fingerprint(experiment, uuid)}
        path = self.experiments.url(f"{experiment['id']}/timeseries_results")
        answer = self.experiments.client.get(path, asked)
        assert answer.status_code == 200, answer.json()
        body: Json = answer.json()
        return body

    def fingerprint(self, experiment: Json, uuid: str = "signup") -> str:
        metrics = self.experiments.read(experiment["id"])["metrics"]
        (found,) = (metric["fingerprint"] for metric in metrics if metric["uuid"] == uuid)
        return str(found)

    def recalculate(self, experiment: Json, metric: Any = SIGNUP, fingerprint: str | None = None) -> Any:
        body = {"metric": metric, "fingerprint": fingerprint or self.fingerprint(experiment)}
        return self.experiments.post(body, f"{experiment['id']}/recalculate_timeseries")


@pytest.fixture
def series(experiments: Experiments) -> Series:
    return Series(experiments)


@pytest.fixture
def three_days(experiments: Experiments, capture: Callable[..., None]) -> Json:
    """Sixty exposures an arm in the first second of January the second; twelve and thirty sign up in the third's."""
    for variant, number in (("control", 12), ("test", 30)):
        events = [*exposed(variant, 60), *did("signup", variant, number)]
        capture(*({**event, "timestamp": event["timestamp"].replace(":00Z", ":01Z")} for event in events))
    return experiments.made(
        start_date="2026-01-01T06:00:00Z",
        end_date="2026-01-03T12:00:00Z",
        metrics=[SIGNUP, PURCHASES],
        scheduling_config=DAILY,
    )


def samples(point: Json) -> tuple[int, int]:
    """Units and conversions of the baseline."""
    return point["baseline"]["number_of_samples"], point["baseline"]["sum"]


# --- Days ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-03-29", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Asia/Kolkata", "2026-03-29", 24),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        # Its clocks go forward at midnight: the day begins at one o'clock.
        ("America/Santiago", "2026-09-06", 23),
    ],
)
def test_day__has_as_many_hours_as_its_zone_gives_it(zone: str, day: str, hours: float) -> None:
    place, this = ZoneInfo(zone), date.fromisoformat(day)
    length = end_of(this, place) - end_of(this - timedelta(days=1), place)
    assert length == timedelta(hours=hours)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"])
def test_day__its_end_belongs_to_it_for_a_whole_year(zone: str) -> None:
    place = ZoneInfo(zone)
    for number in range(365):
        day = date(2026, 1, 1) + timedelta(days=number)
        assert day_before(end_of(day, place), place) == day


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("UTC", "2026-01-01T06:00Z", "2026-01-03T00:00Z", [FIRST, SECOND]),
        ("UTC", "2026-01-01T06:00Z", "2026-01-03T00:00:00.000001Z", [FIRST, SECOND, THIRD]),
        # Half past six in Kolkata is one o'clock in the morning of UTC.
        ("Asia/Kolkata", "2026-01-01T18:29Z", "2026-01-01T18:31Z", [FIRST, SECOND]),
        ("America/New_York", "2026-01-02T04:59Z", "2026-01-02T06:00Z", [FIRST, SECOND]),
        ("UTC", "2026-01-03T06:00Z", "2026-01-03T06:00Z", []),
        ("UTC", "2026-01-04T06:00Z", "2026-01-03T06:00Z", []),
    ],
)
def test_days__from_the_start_to_the_end_in_the_projects_zone(
    zone: str, start: str, end: str, expected: list[str]
) -> None:
    found = days_between(instant(start), instant(end), ZoneInfo(zone))
    assert [day.isoformat() for day in found] == expected


def test_days__of_a_start_in_the_year_one__are_the_latest() -> None:
    found = days_between(datetime.min.replace(tzinfo=UTC), instant("2026-01-03T06:00Z"), ZoneInfo("America/New_York"))
    assert len(found) == MAX_DAYS
    assert found[-1] == date(2026, 1, 3)


# --- What is stored ------------------------------------------------------------------------------------------------


def test_fill__every_day_is_cumulative_and_reads_nothing_after_its_end(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    answer = series.read(three_days)
    assert list(answer["timeseries"]) == [FIRST, SECOND, THIRD]
    assert [samples(point) for point in answer["timeseries"].values()] == [(0, 0), (60, 0), (60, 12)]
    assert (answer["status"], answer["errors"]) == ("completed", None)
    ends = ExperimentMetricResult.objects.filter(metric_uuid="signup").order_by("query_to")
    assert [row.query_to.isoformat() for row in ends] == [
        "2026-01-02T00:00:00+00:00",
        "2026-01-03T00:00:00+00:00",
        "2026-01-03T12:00:00+00:00",
    ]
    assert {row.query_from.isoformat() for row in ends} == {"2026-01-01T06:00:00+00:00"}


def test_fill__a_point__is_a_result_without_single_units_and_envelope(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    last = series.read(three_days)["timeseries"][THIRD]
    results = series.experiments.get(f"{three_days['id']}/results").json()["metrics"][0]["result"]
    for treatment in results["variant_results"]:
        del treatment["p_value_adjusted"], treatment["confidence_interval_adjusted"]
    assert last == {"kind": "ExperimentQuery", **results}


def test_fill__metrics_of_a_day__come_from_one_cut(three_days: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = report.take_cut

    def counted(experiment: Experiment, **options: Any) -> Any:
        taken.append(len(options["listed"]))
        return real(experiment, **options)

    monkeypatch.setattr(report, "take_cut", counted)
    timeseries.fill(three_days["id"])
    assert taken == [2, 2, 2]


def test_fill__second_run__computes_nothing_again(three_days: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    timeseries.fill(three_days["id"])
    monkeypatch.setattr(report, "take_cut", None)
    timeseries.fill(three_days["id"])
    assert ExperimentMetricResult.objects.count() == 6


def test_fill__running__stores_today_up_to_now(series: Series) -> None:
    start = timezone.now() - timedelta(days=1, minutes=1)
    experiment = series.experiments.made(start_date=start.isoformat(), metrics=[SIGNUP])
    timeseries.fill(experiment["id"])
    timeseries.fill(experiment["id"])
    now = timezone.now()
    rows = list(ExperimentMetricResult.objects.order_by("query_to"))
    todays = [row for row in rows if now - timedelta(minutes=1) < row.query_to <= now]
    assert len(todays) == 2
    answer = series.read(experiment)
    assert answer["status"] == "completed"
    assert list(answer["timeseries"])[-1] == now.date().isoformat()


def test_fill__yesterdays_point_of_noon__does_not_count_for_the_whole_day(series: Series, three_days: Json) -> None:
    experiment = timeseries.find(three_days["id"])
    assert experiment is not None
    listed = timeseries.series_of(experiment)
    timeseries.store_points(experiment, listed, instant("2026-01-02T12:00Z"))
    assert samples(series.read(three_days)["timeseries"][SECOND]) == (60, 0)
    timeseries.fill(three_days["id"])
    stored = ExperimentMetricResult.objects.filter(metric_uuid="signup")
    assert stored.filter(query_to="2026-01-03T00:00Z").exists()


def test_read__of_several_points_of_a_day__the_latest_counts(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    ExperimentMetricResult.objects.create(
        experiment_id=three_days["id"],
        metric_uuid="signup",
        fingerprint=series.fingerprint(three_days),
        query_from="2026-01-01T06:00Z",
        query_to="2026-01-03T11:59:59Z",
        status=PointStatus.COMPLETED,
        result={**series.read(three_days)["timeseries"][FIRST]},
        completed_at=timezone.now(),
    )
    assert samples(series.read(three_days)["timeseries"][THIRD]) == (60, 12)


def test_read__midnight__belongs_to_the_day_before(series: Series, capture: Callable[..., None]) -> None:
    capture(*exposed("control", 1))
    experiment = series.experiments.made(
        start_date="2026-01-01T06:00:00Z", end_date="2026-01-02T00:00:00Z", metrics=[SIGNUP]
    )
    timeseries.fill(experiment["id"])
    answer = series.read(experiment)
    # The exposure at the very end counts: equality does.
    assert {day: samples(point) for day, point in answer["timeseries"].items()} == {FIRST: (1, 0)}
    assert answer["status"] == "completed"


@pytest.mark.parametrize(
    ("zone", "days", "ends"),
    [
        ("Asia/Kolkata", [FIRST, SECOND], ["2026-01-01T18:30:00+00:00", "2026-01-02T18:00:00+00:00"]),
        ("America/New_York", [FIRST, SECOND], ["2026-01-02T05:00:00+00:00", "2026-01-02T18:00:00+00:00"]),
    ],
)
def test_fill__days__are_those_of_the_projects_zone(
    series: Series, project: Project, zone: str, days: list[str], ends: list[str]
) -> None:
    Project.objects.filter(pk=project.pk).update(timezone=zone)
    experiment = series.experiments.made(
        start_date="2026-01-01T12:00:00Z", end_date="2026-01-02T18:00:00Z", metrics=[SIGNUP]
    )
    timeseries.fill(experiment["id"])
    assert list(series.read(experiment)["timeseries"]) == days
    stored = ExperimentMetricResult.objects.order_by("query_to")
    assert [row.query_to.isoformat() for row in stored] == ends


def test_fill__day_of_23_hours__ends_with_it(series: Series, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(timezone="Europe/Berlin")
    experiment = series.experiments.made(
        start_date="2026-03-28T12:00:00Z", end_date="2026-03-30T12:00:00Z", metrics=[SIGNUP]
    )
    timeseries.fill(experiment["id"])
    stored = ExperimentMetricResult.objects.order_by("query_to")
    assert [row.query_to.isoformat() for row in stored] == [
        "2026-03-28T23:00:00+00:00",
        "2026-03-29T22:00:00+00:00",
        "2026-03-30T12:00:00+00:00",
    ]


def test_fill__failed_day__keeps_its_message_and_does_not_stop_the_others(
    series: Series, three_days: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = report.take_cut

    def slow_on_the_second(experiment: Experiment, *, now: datetime, **options: Any) -> Any:
        if now == instant("2026-01-03T00:00Z"):
            raise StoreTimeout
        return real(experiment, now=now, **options)

    with monkeypatch.context() as patched:
        patched.setattr(report, "take_cut", slow_on_the_second)
        timeseries.fill(three_days["id"])
    answer = series.read(three_days)
    assert answer["timeseries"][SECOND] is None
    assert answer["errors"] == {SECOND: "The query exceeded the time limit of 600 seconds."}
    assert samples(answer["timeseries"][THIRD]) == (60, 12)
    assert answer["status"] == "partial"
    timeseries.fill(three_days["id"])
    assert (series.read(three_days)["status"], series.read(three_days)["errors"]) == ("completed", None)


def test_fill__metric_that_cannot_be_computed__fails_alone_and_is_tried_once(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = {
        "kind": "ExperimentDataWarehouseNode",
        "table_name": "t",
        "timestamp_field": "t",
        "events_join_key": "t",
        "data_warehouse_join_key": "t",
    }
    experiment = series.experiments.made(
        start_date="2026-01-01T06:00:00Z",
        end_date="2026-01-03T12:00:00Z",
        metrics=[SIGNUP, {**PURCHASES, "source": warehouse}],
    )
    tried: list[int] = []
    real = report.take_cut

    def counted(found: Experiment, **options: Any) -> Any:
        tried.append(len(options["listed"]))
        return real(found, **options)

    monkeypatch.setattr(report, "take_cut", counted)
    timeseries.fill(experiment["id"])
    assert tried == [2, 1, 1]
    failed = series.read(experiment, "purchases")
    assert failed["status"] == "failed"
    assert failed["errors"] == dict.fromkeys(
        (FIRST, SECOND, THIRD), "Data warehouse tables are not connected to this project."
    )
    assert failed["computed_at"] is None
    assert series.read(experiment)["status"] == "completed"


# --- Reading -------------------------------------------------------------------------------------------------------


def test_read__nothing_stored__is_pending_with_the_times_of_the_experiment(series: Series, three_days: Json) -> None:
    answer = series.read(three_days)
    shown = series.experiments.read(three_days["id"])
    assert answer == {
        "experiment_id": three_days["id"],
        "metric_uuid": "signup",
        "status": "pending",
        "timeseries": {FIRST: None, SECOND: None, THIRD: None},
        "errors": None,
        "computed_at": None,
        "created_at": shown["created_at"],
        "updated_at": shown["updated_at"],
        "recalculation_status": None,
        "recalculation_created_at": None,
    }


def test_read__start_in_the_future__has_no_days(series: Series) -> None:
    later = (timezone.now() + timedelta(days=3)).isoformat()
    experiment = series.experiments.made(start_date=later, metrics=[SIGNUP])
    timeseries.fill(experiment["id"])
    assert (series.read(experiment)["timeseries"], series.read(experiment)["status"]) == ({}, "pending")


def test_read__change_of_meaning__is_a_new_series_and_a_rename_is_not(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    series.experiments.changed(three_days["id"], metrics=[{**SIGNUP, "name": "Renamed"}, PURCHASES])
    assert series.read(three_days)["status"] == "completed"
    series.experiments.changed(three_days["id"], metrics=[{**SIGNUP, "funnel_order_type": "strict"}, PURCHASES])
    assert series.read(three_days)["status"] == "pending"


def test_read__end_moved_back__shows_no_point_behind_it(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    series.experiments.changed(three_days["id"], end_date="2026-01-03T06:00:00Z")
    answer = series.read(three_days)
    assert answer["timeseries"][THIRD] is None
    assert answer["status"] == "partial"
    timeseries.fill(three_days["id"])
    assert series.read(three_days)["status"] == "completed"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "metric_uuid query parameter is required"),
        ({"fingerprint": "f"}, "metric_uuid query parameter is required"),
        ({"metric_uuid": "signup"}, "fingerprint query parameter is required"),
        ({"metric_uuid": "signup", "fingerprint": "f"}, "Experiment has not been started yet"),
    ],
)
def test_read__of_a_draft__is_refused_in_this_order(experiments: Experiments, query: Json, text: str) -> None:
    draft = experiments.made()
    answer = experiments.client.get(experiments.url(f"{draft['id']}/timeseries_results"), query)
    experiments.refused(answer, text)


def test_read__unknown_experiment__is_not_found(experiments: Experiments) -> None:
    assert experiments.get("999999/timeseries_results").status_code == 404


# --- Recalculation -------------------------------------------------------------------------------------------------


def test_recalculate__new_one__takes_the_points_away_and_computes_the_same(series: Series, three_days: Json) -> None:
    timeseries.fill(three_days["id"])
    before = series.read(three_days)["timeseries"]
    answer = series.recalculate(three_days)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "experiment_id": three_days["id"],
        "metric_uuid": "signup",
        "fingerprint": series.fingerprint(three_days),
        "status": "pending",
        "created_at": made["created_at"],
    }
    waiting = series.read(three_days)
    assert set(waiting["timeseries"].values()) == {None}
    assert (waiting["recalculation_status"], waiting["recalculation_created_at"]) == ("pending", made["created_at"])
    assert series.read(three_days, "purchases")["status"] == "completed"
    recalculations.run(made["id"])
    after = series.read(three_days)
    assert after["timeseries"] == before
    assert (after["status"], after["recalculation_status"]) == ("completed", None)
    found = TimeseriesRecalculation.objects.get()
    assert (found.status, found.last_successful_date) == (RecalculationStatus.COMPLETED, date(2026, 1, 3))


def test_recalculate__with_an_active_one__gets_that(series: Series, three_days: Json) -> None:
    first, second = series.recalculate(three_days), series.recalculate(three_days)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    other = series.recalculate(three_days, PURCHASES, series.fingerprint(three_days, "purchases"))
    assert other.status_code == 201
    jobs = ProcrastinateJob.objects.filter(task_name="experiments.recalculate_timeseries")
    assert {job.args["recalculation_id"] for job in jobs} == {first.json()["id"], other.json()["id"]}


def test_recalculate__after_the_last_one_ended__is_new(series: Series, three_days: Json) -> None:
    first = series.recalculate(three_days).json()
    recalculations.run(first["id"])
    second = series.recalculate(three_days)
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


def test_recalculate__restart__goes_on_after_the_last_successful_day(
    series: Series, three_days: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = series.recalculate(three_days).json()
    real = report.take_cut

    def dies_on_the_third(experiment: Experiment, *, now: datetime, **options: Any) -> Any:
        if now == instant("2026-01-03T12:00Z"):
            raise KeyboardInterrupt
        return real(experiment, now=now, **options)

    with monkeypatch.context() as patched:
        patched.setattr(report, "take_cut", dies_on_the_third)
        with pytest.raises(KeyboardInterrupt):
            recalculations.run(made["id"])
    left = TimeseriesRecalculation.objects.get()
    assert (left.status, left.last_successful_date) == (RecalculationStatus.IN_PROGRESS, date(2026, 1, 2))
    assert series.read(three_days)["recalculation_status"] == "in_progress"
    moments: list[datetime] = []

    def noted(experiment: Experiment, *, now: datetime, **options: Any) -> Any:
        moments.append(now)
        return real(experiment, now=now, **options)

    monkeypatch.setattr(report, "take_cut", noted)
    recalculations.run(made["id"])
    assert moments == [instant("2026-01-03T12:00Z")]
    assert series.read(three_days)["status"] == "completed"


def test_recalculate__left_by_its_worker__is_queued_again(series: Series, three_days: Json) -> None:
    series.recalculate(three_days)
    assert recalculations.resume_abandoned() == 0
    TimeseriesRecalculation.objects.update(updated_at=timezone.now() - timedelta(minutes=16))
    assert recalculations.resume_abandoned() == 1
    assert ProcrastinateJob.objects.filter(task_name="experiments.recalculate_timeseries").count() == 1


@pytest.mark.parametrize(
    "metric",
    [
        {"uuid": "signup", "kind": "Nonsense"},
        {**SIGNUP, "series": [{"kind": "ActionsNode", "id": 99}]},
        {**SIGNUP, "series": []},
        {"uuid": 5},
    ],
)
def test_recalculate__metric_that_cannot_be_computed__fails(series: Series, three_days: Json, metric: Json) -> None:
    answer = series.recalculate(three_days, metric)
    assert answer.status_code == 201
    recalculations.run(answer.json()["id"])
    assert TimeseriesRecalculation.objects.get().status == RecalculationStatus.FAILED
    assert ExperimentMetricResult.objects.get().error_message


def test_recalculate__failed_day__does_not_stop_the_others(
    series: Series, three_days: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = report.take_cut

    def slow_on_the_second(experiment: Experiment, *, now: datetime, **options: Any) -> Any:
        if now == instant("2026-01-03T00:00Z"):
            raise StoreTimeout
        return real(experiment, now=now, **options)

    monkeypatch.setattr(report, "take_cut", slow_on_the_second)
    recalculations.run(series.recalculate(three_days).json()["id"])
    answer = series.read(three_days)
    assert (answer["status"], list(answer["errors"])) == ("partial", [SECOND])
    assert TimeseriesRecalculation.objects.get().status == RecalculationStatus.COMPLETED


def test_recalculate__experiment_deleted_meanwhile__fails(series: Series, three_days: Json) -> None:
    made = series.recalculate(three_days).json()
    series.experiments.changed(three_days["id"], deleted=True)
    recalculations.run(made["id"])
    assert TimeseriesRecalculation.objects.get().status == RecalculationStatus.FAILED


@pytest.mark.parametrize(
    ("body", "text", "attr"),
    [
        ({}, "metric is required", "metric"),
        ({"metric": None, "fingerprint": "f"}, "metric is required", "metric"),
        ({"metric": "x"}, "fingerprint is required", "fingerprint"),
        ({"metric": SIGNUP, "fingerprint": ""}, "fingerprint is required", "fingerprint"),
        ({"metric": "x", "fingerprint": 5}, "metric must be an object", "metric"),
        ({"metric": [1], "fingerprint": "f"}, "metric must be an object", "metric"),
        ({"metric": SIGNUP, "fingerprint": 5}, "fingerprint must be a string", "fingerprint"),
        ({"metric": SIGNUP, "fingerprint": {}}, "fingerprint must be a string", "fingerprint"),
        (
            {"metric": SIGNUP, "fingerprint": "f"},
            "Cannot recalculate timeseries for experiment that hasn't started",
            None,
        ),
    ],
)
def test_recalculate__wrong_body_or_draft__is_refused_in_this_order(
    experiments: Experiments, body: Json, text: str, attr: str | None
) -> None:
    draft = experiments.made()
    answer = experiments.post(body, f"{draft['id']}/recalculate_timeseries")
    experiments.refused(answer, text, attr=attr)
    assert not TimeseriesRecalculation.objects.exists()


def test_recalculate__fingerprint_too_long__is_refused(series: Series, three_days: Json) -> None:
    answer = series.recalculate(three_days, fingerprint="f" * 65)
    assert (answer.status_code, answer.json()["code"]) == (400, "max_length")


@pytest.mark.django_db(transaction=True)
def test_recalculate__at_the_same_moment__the_loser_gets_the_winners(project: Project, member: User) -> None:
    key = key_for(member)
    client = Client(headers={"authorization": f"Bearer {key}"})
    base = f"/api/projects/{project.pk}/experiments/"
    body = {"name": "x", "feature_flag_key": "x", "start_date": "2026-01-01T00:00:00Z"}
    experiment = client.post(base, body, content_type="application/json").json()
    barrier = Barrier(4, timeout=20)

    def send(_: int) -> Any:
        try:
            barrier.wait()
            path = f"{base}{experiment['id']}/recalculate_timeseries/"
            return client.post(path, {"metric": SIGNUP, "fingerprint": "f"}, content_type="application/json")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert TimeseriesRecalculation.objects.count() == 1


# --- When ----------------------------------------------------------------------------------------------------------


def running(experiments: Experiments, **fields: Any) -> Json:
    return experiments.running(metrics=[SIGNUP], scheduling_config=DAILY, **fields)


def queued() -> list[int]:
    jobs = ProcrastinateJob.objects.filter(task_name="experiments.fill_timeseries", status="todo")
    return [job.args["experiment_id"] for job in jobs]


def test_schedule__once_a_day_at_the_projects_time(experiments: Experiments, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(experiment_recalculation_time="03:30")
    experiment = running(experiments)
    assert schedule.queue_due(now=instant("2026-06-01T12:00Z")) == 0
    assert schedule.queue_due(now=instant("2026-06-02T03:29Z")) == 0
    assert schedule.queue_due(now=instant("2026-06-02T03:30Z")) == 1
    assert queued() == [experiment["id"]]
    assert schedule.queue_due(now=instant("2026-06-02T03:31Z")) == 0
    # A worker that was down at that minute catches up.
    assert schedule.queue_due(now=instant("2026-06-04T00:00Z")) == 1


@pytest.mark.parametrize("config", [None, {}, {"timeseries": False}])
def test_schedule__not_asked_for__is_not_calculated(experiments: Experiments, config: Any) -> None:
    experiments.running(metrics=[SIGNUP], scheduling_config=config)
    schedule.queue_due(now=instant("2026-06-01T12:00Z"))
    assert schedule.queue_due(now=instant("2026-06-03T12:00Z")) == 0
    assert not TimeseriesRun.objects.exists()


def test_schedule__draft_deleted_and_future__are_left_out(experiments: Experiments) -> None:
    experiments.made(scheduling_config=DAILY)
    gone = running(experiments, feature_flag_key="gone")
    experiments.changed(gone["id"], deleted=True)
    running(experiments, feature_flag_key="present")
    experiments.made(feature_flag_key="future", start_date="2036-01-01T00:00:00Z", scheduling_config=DAILY)
    schedule.queue_due(now=instant("2026-06-01T12:00Z"))
    assert schedule.queue_due(now=instant("2026-06-03T12:00Z")) == 1


def test_schedule__ended__is_calculated_once_more(series: Series) -> None:
    experiment = running(series.experiments)
    schedule.queue_due(now=timezone.now())
    assert queued() == []
    series.experiments.post({}, f"{experiment['id']}/end")
    now = timezone.now()
    assert schedule.queue_due(now=now) == 1
    assert schedule.queue_due(now=now + timedelta(days=3)) == 0
    timeseries.fill(experiment["id"])
    end = instant(series.experiments.read(experiment["id"])["end_date"])
    assert ExperimentMetricResult.objects.latest("query_to").query_to == end


def test_schedule__end_in_the_future__is_awaited(series: Series) -> None:
    end = timezone.now() + timedelta(hours=30)
    experiment = running(series.experiments, end_date=end.isoformat())
    schedule.queue_due(now=end - timedelta(hours=25))
    assert schedule.queue_due(now=end - timedelta(seconds=1)) == 1
    assert schedule.queue_due(now=end) == 1
    assert schedule.queue_due(now=end + timedelta(days=1)) == 0
    assert set(queued()) == {experiment["id"]}
