"""GET experiments/{id}/results/ and exposures/."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from experiments.models import ExperimentSavedMetric, StoredAnswer
from tests.experiments.conftest import STARTED, Experiments
from tests.experiments.results.traffic import PURCHASES, SIGNUP, Json, exposed


def results(experiments: Experiments, experiment: Json, **query: Any) -> Json:
    answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"), query)
    assert answer.status_code == 200, answer.json()
    body: Json = answer.json()
    return body


@pytest.mark.usefixtures("hundred")
def test_results__all_metrics_of_one_cut(experiments: Experiments) -> None:
    experiment = experiments.stopped(
        metrics=[SIGNUP], metrics_secondary=[PURCHASES], stats_config={"method": "frequentist"}
    )
    body = results(experiments, experiment)
    assert [metric["uuid"] for metric in body["metrics"]] == ["signup", "purchases"]
    signup, purchases = body["metrics"]
    assert signup["result"]["baseline"]["step_counts"] == [12]
    treatment = signup["result"]["variant_results"][0]
    assert (treatment["number_of_samples"], treatment["sum"]) == (60, 30)
    assert treatment["effect"] == pytest.approx(1.5)
    assert treatment["significant"] is True
    assert treatment["favourable"] is True
    assert (purchases["role"], purchases["result"]["baseline"]["sum"]) == ("secondary", 12)
    assert body["exposures"]["total_exposures"] == {"control": 60, "test": 60}
    assert body["window"]["closed"] is True


@pytest.mark.usefixtures("hundred")
def test_results__second_request__is_answered_from_the_store(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP])
    first, second = results(experiments, experiment), results(experiments, experiment)
    assert (first["is_cached"], second["is_cached"]) == (False, True)
    assert second["as_of"] == first["as_of"]
    assert second["metrics"] == first["metrics"]
    assert results(experiments, experiment, refresh="true")["is_cached"] is False


@pytest.mark.usefixtures("hundred")
def test_results__other_settings__never_get_the_numbers_of_these(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP])
    results(experiments, experiment)
    experiments.changed(experiment["id"], stats_config={"method": "frequentist"})
    again = results(experiments, experiment)
    assert again["is_cached"] is False
    assert again["settings"]["method"] == "frequentist"
    assert StoredAnswer.objects.count() == 2


@pytest.mark.usefixtures("hundred")
def test_results__stale_answer__is_computed_anew(experiments: Experiments) -> None:
    experiment = experiments.running(metrics=[SIGNUP])
    with override_settings(EXPERIMENT_RESULTS_FRESH_SECONDS_OPEN=0):
        assert results(experiments, experiment)["is_cached"] is False
        assert results(experiments, experiment)["is_cached"] is False


@pytest.mark.usefixtures("hundred")
def test_results__one_metric__keeps_the_family(experiments: Experiments) -> None:
    experiment = experiments.stopped(
        metrics=[SIGNUP, PURCHASES], stats_config={"method": "frequentist", "multiplicity": "holm"}
    )
    whole = results(experiments, experiment)
    one = results(experiments, experiment, metric_uuid="purchases")
    assert one["metrics"] == [whole["metrics"][1]]
    treatment = one["metrics"][0]["result"]["variant_results"][0]
    assert treatment["p_value_adjusted"] >= treatment["p_value"]


@pytest.mark.usefixtures("hundred")
def test_results__breakdown__splits_every_metric(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP])
    body = results(experiments, experiment, breakdown="$browser")
    broken_down = body["metrics"][0]["result"]["breakdown_results"]
    assert [entry["breakdown_value"] for entry in broken_down] == [["Firefox"]]
    assert broken_down[0]["baseline"]["number_of_samples"] == 60


@pytest.mark.usefixtures("hundred")
def test_results__failing_metric__leaves_the_others_alone(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric]
) -> None:
    warehouse = {
        "kind": "ExperimentDataWarehouseNode",
        "table_name": "t",
        "timestamp_field": "t",
        "events_join_key": "t",
        "data_warehouse_join_key": "t",
    }
    experiment = experiments.stopped(metrics=[SIGNUP, {**PURCHASES, "source": warehouse}])
    signup, margin = results(experiments, experiment)["metrics"]
    assert signup["error"] is None
    assert margin["result"] is None
    assert margin["error"] == {
        "code": "data-warehouse-not-connected",
        "message": "Data warehouse tables are not connected to this project.",
    }


def test_results__few_users__have_codes_in_place_of_statistics(
    experiments: Experiments,
    capture: Callable[..., None],
) -> None:
    capture(*exposed("control", 3), *exposed("test", 3))
    result = results(experiments, experiments.running(metrics=[SIGNUP]))["metrics"][0]["result"]
    treatment = result["variant_results"][0]
    assert treatment["chance_to_win"] is None
    assert treatment["validation_failures"] == ["not-enough-exposures", "not-enough-metric-data"]
    assert result["baseline"]["validation_failures"][0] == "not-enough-exposures"


def test_results__nobody__is_told_with_its_reason(experiments: Experiments) -> None:
    body = results(experiments, experiments.running())
    assert [finding["code"] for finding in body["health"]] == ["no_exposures", "no_metrics"]
    assert body["exposures"]["total_exposures"] == {"control": 0, "test": 0}


@pytest.mark.usefixtures("hundred")
def test_exposures__cumulate_by_day(experiments: Experiments) -> None:
    experiment = experiments.made(start_date=STARTED, end_date="2026-01-04T00:00:00Z")
    answer = experiments.get(f"{experiment['id']}/exposures").json()
    control = answer["timeseries"][0]
    assert control["days"] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert control["exposure_counts"] == [0, 60, 60, 60]
    assert answer["kind"] == "ExperimentExposureQuery"
    assert len(answer["cache_key"]) == 64


@pytest.mark.parametrize("path", ["results", "exposures"])
def test_draft__is_refused(experiments: Experiments, path: str) -> None:
    experiment = experiments.made()
    experiments.refused(experiments.get(f"{experiment['id']}/{path}"), "Experiment has not been started yet")


def test_results__unknown_metric__is_refused(experiments: Experiments) -> None:
    experiment = experiments.running(metrics=[SIGNUP])
    answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"), {"metric_uuid": "x"})
    experiments.refused(answer, "Metric 'x' does not belong to this experiment.", attr="metric_uuid")


def test_results__four_breakdowns__are_refused(experiments: Experiments) -> None:
    experiment = experiments.running(metrics=[SIGNUP])
    answer = experiments.client.get(experiments.url(f"{experiment['id']}/results"), {"breakdown": "a,b,c,d"})
    experiments.refused(answer, "Maximum of 3 breakdowns are supported for experiment metrics")


@pytest.mark.usefixtures("hundred")
def test_results__low_power__is_told_with_the_metric_it_concerns(experiments: Experiments) -> None:
    experiment = experiments.stopped(metrics=[SIGNUP], metrics_secondary=[PURCHASES])
    body = results(experiments, experiment)
    (finding,) = (finding for finding in body["health"] if finding["code"] == "low_power")
    assert [metric["result"]["warnings"] for metric in body["metrics"]] == [[finding], []]
    assert body["exposures"]["warnings"] == []


def test_results__nobody__is_warned_of_beside_the_exposures(experiments: Experiments) -> None:
    experiment = experiments.running(metrics=[SIGNUP])
    body = results(experiments, experiment)
    (finding,) = (finding for finding in body["health"] if finding["code"] == "no_exposures")
    assert body["exposures"]["warnings"] == [finding]
    assert experiments.get(f"{experiment['id']}/exposures").json()["warnings"] == [finding]


def test_results__metric_with_two_missing_actions__names_both(
    experiments: Experiments, action: Callable[..., Any]
) -> None:
    first, second = action("First"), action("Second")
    series = [{"kind": "ActionsNode", "id": one.pk} for one in (second, first)]
    experiment = experiments.running(metrics=[{**SIGNUP, "series": series}])
    for one in (first, second):
        one.deleted = True
        one.save()
    error = results(experiments, experiment)["metrics"][0]["error"]
    assert error["code"] == "action-not-found"
    assert error["message"].startswith(f"Action(s) with ID {first.pk}, {second.pk} not found or deleted.")
