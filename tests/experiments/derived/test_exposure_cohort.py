"""POST experiments/{id}/create_exposure_cohort_for_experiment/."""

from collections.abc import Callable
from typing import Any

import pytest

from cohorts.models import Cohort
from events.models import Action
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import Experiments, everything

PATH = "create_exposure_cohort_for_experiment"


def create(experiments: Experiments, experiment: dict[str, Any]) -> Any:
    return experiments.post(None, f"{experiment['id']}/{PATH}")


def leaf_of(experiments: Experiments, **fields: Any) -> dict[str, Any]:
    """The condition of the cohort of a running experiment with these fields."""
    answer = create(experiments, experiments.running(**fields))
    assert answer.status_code == 200, answer.json()
    leaf: dict[str, Any] = answer.json()["cohort"]["filters"]["properties"]["values"][0]["values"][0]
    return leaf


def test_cohort__default_exposure__holds_the_whole_documented_definition(experiments: Experiments) -> None:
    experiment = experiments.running(name="Blue")
    answer = create(experiments, experiment)
    assert answer.status_code == 200
    cohort = answer.json()["cohort"]
    assert cohort["name"] == 'Users exposed to experiment "Blue"'
    assert (cohort["is_static"], cohort["is_calculating"]) == (False, True)
    assert cohort["experiment_set"] == [experiment["id"]]
    assert cohort["filters"] == {
        "properties": {
            "type": "OR",
            "values": [
                {
                    "type": "OR",
                    "values": [
                        {
                            "type": "behavioral",
                            "value": "performed_event",
                            "key": "$feature_flag_called",
                            "negation": False,
                            "event_type": "events",
                            "event_filters": [
                                {
                                    "key": "$feature_flag",
                                    "value": ["blue-button"],
                                    "operator": "exact",
                                    "type": "event",
                                }
                            ],
                            "explicit_datetime": "2026-01-01T00:00:00+00:00",
                        }
                    ],
                }
            ],
        }
    }
    assert experiments.read(experiment["id"])["exposure_cohort"] == cohort["id"]


def test_cohort__exposure_event__is_what_exposes(experiments: Experiments) -> None:
    plan = {"key": "plan", "value": "pro", "operator": "exact", "type": "event"}
    config = {"kind": "ExperimentEventExposureConfig", "event": "seen", "properties": [plan]}
    leaf = leaf_of(experiments, exposure_criteria={"exposure_config": config})
    assert (leaf["key"], leaf["event_type"], leaf["event_filters"]) == ("seen", "events", [plan])


def test_cohort__exposure_action__is_what_exposes(experiments: Experiments, action: Callable[..., Action]) -> None:
    seen = action("Seen")
    config = {"kind": "ActionsNode", "id": seen.pk}
    leaf = leaf_of(experiments, exposure_criteria={"exposure_config": config})
    assert (leaf["key"], leaf["event_type"], leaf["event_filters"]) == (seen.pk, "actions", [])


@pytest.mark.parametrize(
    ("custom", "key", "event_type"),
    [
        ({"events": [{"id": "opened"}, {"id": "second"}], "actions": [{"id": 5}]}, "opened", "events"),
        ({"actions": [{"id": "7"}]}, 7, "actions"),
        ({"events": [], "actions": [{"id": 7}]}, 7, "actions"),
        ({"events": [], "actions": []}, "$feature_flag_called", "events"),
        ({}, "$feature_flag_called", "events"),
    ],
)
def test_cohort__custom_exposure_filter(
    experiments: Experiments, custom: dict[str, Any], key: object, event_type: str
) -> None:
    leaf = leaf_of(experiments, parameters={"custom_exposure_filter": custom})
    assert (leaf["key"], leaf["event_type"]) == (key, event_type)


def test_cohort__custom_exposure_filter__keeps_filters_on_the_event_only(experiments: Experiments) -> None:
    properties = [
        {"key": "a", "value": 1},
        {"key": "b", "value": 2, "type": "event"},
        {"key": "c", "value": 3, "type": "person"},
        {"key": "d", "value": 4, "type": "feature"},
    ]
    custom = {"events": [{"id": "opened", "properties": properties}]}
    leaf = leaf_of(experiments, parameters={"custom_exposure_filter": custom})
    assert [kept["key"] for kept in leaf["event_filters"]] == ["a", "b", "d"]


def test_cohort__action_without_a_number__is_refused(experiments: Experiments) -> None:
    experiment = experiments.running(parameters={"custom_exposure_filter": {"actions": [{"id": "x"}]}})
    before = everything()
    experiments.refused(create(experiments, experiment), "Invalid action ID")
    assert everything() == before
    assert not Cohort.objects.exists()


def test_cohort__draft__is_refused(experiments: Experiments) -> None:
    experiments.refused(create(experiments, experiments.made()), "Experiment does not have a start date")


def test_cohort__deleted_flag__is_the_first_refusal(experiments: Experiments) -> None:
    experiment = experiments.made()
    FeatureFlag.objects.update(deleted=True)
    experiments.refused(create(experiments, experiment), "Experiment does not have a feature flag")


def test_cohort__twice__is_refused(experiments: Experiments) -> None:
    experiment = experiments.running()
    create(experiments, experiment)
    experiments.refused(create(experiments, experiment), "Experiment already has an exposure cohort")
    assert Cohort.objects.count() == 1


def test_cohort__deleted_one__does_not_count(experiments: Experiments) -> None:
    experiment = experiments.running()
    create(experiments, experiment)
    Cohort.objects.update(deleted=True)
    assert create(experiments, experiment).status_code == 200
