"""Experiments that began before the oldest events that are kept: what was computed serves, nothing is computed anew."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from events import retention
from events.store import partitions
from experiments.models import ExperimentMetricResult, PointStatus, StoredAnswer, TimeseriesRecalculation
from tests.capturing import Capture
from tests.experiments.conftest import STARTED, Experiments, variants

Json = dict[str, Any]
MONTHS = 3
TEXT = "The events of this experiment are older than the retention of 3 months."
PURCHASES: Json = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "uuid": "purchases",
    "name": "Purchases",
    "source": {"kind": "EventsNode", "event": "purchase"},
}


@pytest.fixture(autouse=True)
def _forget_partitions() -> None:
    partitions._known.clear()


@pytest.fixture
def expiring() -> Iterator[None]:
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        yield


@pytest.fixture
def exposed(capture: Capture) -> None:
    """Three users see the control and two the test, long ago, and buy once each."""
    for variant, number in (("control", 3), ("test", 2)):
        for user in range(number):
            who = f"{variant}-{user}"
            called = {"$feature_flag": "blue-button", "$feature_flag_response": variant}
            capture(
                {
                    "event": "$feature_flag_called",
                    "distinct_id": who,
                    "timestamp": "2026-01-02T00:00:00Z",
                    "properties": called,
                },
                {"event": "purchase", "distinct_id": who, "timestamp": "2026-01-03T00:00:00Z"},
            )


def results(experiments: Experiments, experiment: Json, **query: Any) -> Json:
    answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"), query)
    assert answer.status_code == 200, answer.json()
    body: Json = answer.json()
    return body


def grow_old() -> None:
    StoredAnswer.objects.update(computed_at=timezone.now() - timedelta(days=400))


@pytest.mark.usefixtures("exposed")
@pytest.mark.parametrize("query", [{}, {"refresh": "true"}], ids=["asked", "asked to compute"])
def test_results__events_expired_since__are_the_stored_ones_however_old(
    experiments: Experiments, query: dict[str, str]
) -> None:
    experiment = experiments.stopped(metrics=[PURCHASES])
    before = results(experiments, experiment)
    grow_old()
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        after = results(experiments, experiment, **query)

    assert after["metrics"] == before["metrics"]
    assert after["exposures"]["total_exposures"] == {"control": 3, "test": 2}
    assert after["is_cached"] is True
    assert after["as_of"] == before["as_of"]


@pytest.mark.usefixtures("exposed", "expiring")
def test_results__events_expired_and_nothing_stored__have_an_error_in_every_metric(experiments: Experiments) -> None:
    other = {**PURCHASES, "uuid": "more", "name": "More"}
    experiment = experiments.stopped(metrics=[PURCHASES], metrics_secondary=[other])
    body = results(experiments, experiment)

    assert [metric["error"] for metric in body["metrics"]] == [{"code": "events-expired", "message": TEXT}] * 2
    assert [metric["result"] for metric in body["metrics"]] == [None, None]
    assert body["window"]["closed"] is True
    assert body["is_cached"] is False


@pytest.mark.usefixtures("exposed", "expiring")
def test_results__events_expired_and_nothing_stored__do_not_say_that_nobody_was_exposed(
    experiments: Experiments,
) -> None:
    body = results(experiments, experiments.stopped())

    assert body["exposures"]["timeseries"] == []
    assert body["exposures"]["total_exposures"] == {}
    assert body["exposures"]["sample_ratio_mismatch"] is None
    assert [finding["code"] for finding in body["health"]] == ["no_metrics"]


@pytest.mark.usefixtures("exposed", "expiring")
def test_results__one_metric_of_expired_events__has_the_error_too(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[PURCHASES, {**PURCHASES, "uuid": "more"}])
    body = results(experiments, experiment, metric_uuid="more")

    assert [(metric["uuid"], metric["error"]["code"]) for metric in body["metrics"]] == [("more", "events-expired")]


@pytest.mark.usefixtures("exposed")
def test_results__retention_lengthened__are_computed_at_once(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[PURCHASES])
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        assert results(experiments, experiment)["metrics"][0]["error"] is not None
    assert StoredAnswer.objects.count() == 0

    assert results(experiments, experiment)["metrics"][0]["result"]["baseline"]["sum"] == 3


@pytest.mark.usefixtures("exposed")
def test_results__stored_with_other_settings__are_not_served(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[PURCHASES])
    results(experiments, experiment)
    experiments.changed(experiment["id"], stats_config={"method": "frequentist"})
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        body = results(experiments, experiment)

    assert body["settings"]["method"] == "frequentist"
    assert body["metrics"][0]["error"]["code"] == "events-expired"


@pytest.mark.parametrize(("minutes", "error"), [(-5, "events-expired"), (5, None)], ids=["before", "after"])
def test_results__start_beside_the_cut__is_computed_from_the_cut_on(
    experiments: Experiments, expiring: None, minutes: int, error: str | None
) -> None:
    oldest = retention.cut(timezone.now())
    assert oldest is not None
    experiment = experiments.made(
        metrics=[PURCHASES], start_date=(oldest + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    )
    (metric,) = results(experiments, experiment)["metrics"]

    assert (metric["error"] or {}).get("code") == error
    assert (metric["result"] is None) is (error is not None)


@pytest.mark.usefixtures("exposed", "expiring")
def test_exposures__events_expired_and_nothing_stored__are_refused(experiments: Experiments) -> None:
    experiment = experiments.stopped()

    experiments.refused(experiments.get(f"{experiment['id']}/exposures"), TEXT, code="events-expired")


@pytest.mark.usefixtures("exposed")
def test_exposures__events_expired_since__are_the_stored_ones(experiments: Experiments) -> None:
    experiment = experiments.stopped()
    before = experiments.get(f"{experiment['id']}/exposures").json()
    grow_old()
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        after = experiments.get(f"{experiment['id']}/exposures").json()

    assert after["total_exposures"] == before["total_exposures"] == {"control": 3, "test": 2}
    assert after["is_cached"] is True


def question(experiment: Json) -> Json:
    return {"kind": "ExperimentQuery", "experiment_id": experiment["id"], "metric": PURCHASES}


def asked(experiments: Experiments, query: Json, **outer: Any) -> Any:
    return experiments.client.post(f"/api/projects/{experiments.project.pk}/query/", {"query": query, **outer})


@pytest.mark.usefixtures("exposed", "expiring")
def test_query__events_expired_and_nothing_stored__is_refused(experiments: Experiments) -> None:
    experiments.refused(asked(experiments, question(experiments.stopped())), TEXT, code="events-expired")


@pytest.mark.usefixtures("exposed")
@pytest.mark.parametrize("refresh", ["blocking", "force_blocking", "force_cache"])
def test_query__events_expired_since__is_answered_from_what_is_stored(experiments: Experiments, refresh: str) -> None:
    experiment = experiments.stopped()
    before = asked(experiments, question(experiment)).json()
    grow_old()
    with override_settings(EVENTS_RETENTION_MONTHS=MONTHS):
        after = asked(experiments, question(experiment), refresh=refresh).json()

    assert after["baseline"] == before["baseline"]
    assert after["is_cached"] is True
    assert after["last_refresh"] < before["last_refresh"]


@pytest.mark.usefixtures("exposed", "expiring")
def test_exposure_query__window_before_the_kept_events__is_refused(experiments: Experiments) -> None:
    experiment = experiments.stopped()
    flag = {"key": "blue-button", "filters": {"multivariate": {"variants": variants(50, 50)}}}
    query = {
        "kind": "ExperimentExposureQuery",
        "experiment_id": experiment["id"],
        "experiment_name": experiment["name"],
        "feature_flag": flag,
        "start_date": STARTED,
        "end_date": None,
    }

    experiments.refused(asked(experiments, query), TEXT, code="events-expired")
    recent = (timezone.now() - timedelta(days=20)).isoformat()
    assert asked(experiments, {**query, "start_date": recent}).status_code == 200
    assert asked(experiments, {**query, "start_date": None}).json()["total_exposures"] == {}


@pytest.mark.usefixtures("expiring")
def test_recalculation__points_that_could_not_come_back__are_kept(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[PURCHASES])
    ExperimentMetricResult.objects.create(
        experiment_id=experiment["id"],
        metric_uuid="purchases",
        fingerprint="f" * 64,
        query_from=experiment["start_date"],
        query_to=experiment["end_date"],
        status=PointStatus.COMPLETED,
        result={"kind": "ExperimentQuery"},
        completed_at=timezone.now(),
    )
    answer = experiments.post(
        {"metric": PURCHASES, "fingerprint": "f" * 64}, f"{experiment['id']}/recalculate_timeseries"
    )

    experiments.refused(answer, TEXT, code="events-expired")
    assert ExperimentMetricResult.objects.count() == 1
    assert TimeseriesRecalculation.objects.count() == 0
