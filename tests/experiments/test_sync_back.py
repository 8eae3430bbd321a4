"""What experiments keep of their flag's configuration follows the flag, whichever door it is changed through."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from feature_flags.models import FeatureFlag
from tests.experiments.conftest import Experiments, Json, activity_of, everything, variants


@pytest.fixture
def edit_flag(experiments: Experiments, owner_api: APIClient) -> Callable[..., None]:
    """Changes the flag of an experiment by the flag's own endpoint."""

    def edit(shown: Json, **changes: Any) -> None:
        url = f"/api/projects/{experiments.project.pk}/feature_flags/{shown['feature_flag']['id']}/"
        answer = owner_api.patch(url, changes)
        assert answer.status_code == 200, answer.json()

    return edit


def stored(shown: Json) -> dict[str, Any]:
    parameters: dict[str, Any] = Experiment.objects.get(pk=shown["id"]).parameters
    return parameters


STATES = ["draft", "running", "stopped"]


def made_in(experiments: Experiments, state: str, **fields: Any) -> Json:
    return {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state](**fields)


@pytest.mark.parametrize("state", STATES)
def test_variants_of_the_flag_changed__parameters_follow(
    experiments: Experiments, edit_flag: Callable[..., None], state: str
) -> None:
    made = made_in(experiments, state, parameters={"feature_flag_variants": variants(50, 50), "own": 1})
    edit_flag(made, filters={"multivariate": {"variants": variants(20, 30, 50)}})
    shown = experiments.read(made["id"])

    assert stored(made) == {"feature_flag_variants": variants(20, 30, 50), "own": 1}
    assert [variant["split_percent"] for variant in shown["parameters"]["feature_flag_variants"]] == [20, 30, 50]
    assert shown["updated_at"] > made["updated_at"]


def test_variants_of_the_flag_changed__parameters_that_name_none_get_them(
    experiments: Experiments, edit_flag: Callable[..., None]
) -> None:
    made = experiments.made()
    edit_flag(made, filters={"multivariate": {"variants": variants(20, 80)}})

    assert stored(made) == {"feature_flag_variants": variants(20, 80)}


@pytest.mark.parametrize("state", STATES)
def test_aggregation_of_the_flag_changed__parameters_follow_and_forget_it(
    experiments: Experiments, edit_flag: Callable[..., None], state: str
) -> None:
    made = made_in(experiments, state)
    edit_flag(made, filters={"aggregation_group_type_index": 2})
    assert stored(made)["aggregation_group_type_index"] == 2
    assert experiments.read(made["id"])["parameters"]["aggregation_group_type_index"] == 2

    edit_flag(made, filters={"aggregation_group_type_index": None})
    assert "aggregation_group_type_index" not in stored(made)
    assert "aggregation_group_type_index" not in experiments.read(made["id"])["parameters"]


def test_first_rollout_changed__a_stored_rollout_follows(
    experiments: Experiments, edit_flag: Callable[..., None]
) -> None:
    made = experiments.made(parameters={"rollout_percentage": 10})
    edit_flag(made, filters={"groups": [{"properties": [], "rollout_percentage": 70}]})

    assert stored(made)["rollout_percentage"] == 70


def test_first_rollout_changed__no_rollout_is_added(experiments: Experiments, edit_flag: Callable[..., None]) -> None:
    made = experiments.made()
    edit_flag(made, filters={"groups": [{"properties": [], "rollout_percentage": 70}]})

    assert "rollout_percentage" not in stored(made)


def test_second_group_changed__nothing_is_written(experiments: Experiments, edit_flag: Callable[..., None]) -> None:
    made = experiments.made(parameters={"rollout_percentage": 10})
    before = everything()["Experiment"]
    edit_flag(
        made,
        filters={
            "groups": [{"properties": [], "rollout_percentage": 10}, {"properties": [], "rollout_percentage": 70}]
        },
    )

    assert everything()["Experiment"] == before


@pytest.mark.parametrize(
    "changes", [{"name": "Other"}, {"active": True}, {"filters": {"payloads": {"test": "1"}}}, {"tags": ["a"]}], ids=str
)
def test_other_fields_of_the_flag_changed__experiments_are_untouched(
    experiments: Experiments, edit_flag: Callable[..., None], changes: dict[str, Any]
) -> None:
    made = experiments.made()
    before = everything()["Experiment"]
    edit_flag(made, **changes)

    assert everything()["Experiment"] == before


def test_variants_changed__weights_a_launched_experiment_kept_for_itself_are_replaced(
    experiments: Experiments, edit_flag: Callable[..., None]
) -> None:
    made = experiments.running()
    experiments.changed(made["id"], parameters={"feature_flag_variants": variants(1, 1)})
    edit_flag(made, filters={"multivariate": {"variants": variants(20, 80)}})

    assert stored(made) == {"feature_flag_variants": variants(20, 80)}


def test_every_experiment_on_the_flag__follows_a_neighbours_change(experiments: Experiments) -> None:
    first = experiments.made()
    second = experiments.made(name="Second")
    other = experiments.made(feature_flag_key="other")
    deleted = experiments.made(name="Gone", deleted=True)
    experiments.changed(first["id"], parameters={"feature_flag_variants": variants(20, 80), "own": 1})

    assert stored(first) == {"feature_flag_variants": variants(20, 80), "own": 1}
    assert stored(second) == {"feature_flag_variants": variants(20, 80)}
    assert stored(deleted) == {"feature_flag_variants": variants(20, 80)}
    assert stored(other) == {}
    shown = experiments.read(second["id"])
    assert shown["parameters"]["feature_flag_variants"][1]["split_percent"] == 80
    assert shown["feature_flag"]["version"] == 2


def test_refused_change_of_the_flag__changes_no_experiment(experiments: Experiments, owner_api: APIClient) -> None:
    made = experiments.made()
    before = everything()
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
    answer = owner_api.patch(url, {"filters": {"multivariate": {"variants": variants(20, 70)}}})

    assert answer.status_code == 400
    assert everything() == before


def test_flag_loses_its_variants__parameters_name_none(
    experiments: Experiments, edit_flag: Callable[..., None]
) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 80)})
    edit_flag(made, filters={"multivariate": None})

    assert experiments.read(made["id"])["parameters"]["feature_flag_variants"] == []


def test_flag_gone_and_back__experiment_still_follows(experiments: Experiments, edit_flag: Callable[..., None]) -> None:
    made = experiments.stopped()
    edit_flag(made, deleted=True)
    edit_flag(made, deleted=False)
    edit_flag(made, filters={"multivariate": {"variants": variants(20, 80)}})

    assert FeatureFlag.objects.get().key == "blue-button"
    assert stored(made) == {"feature_flag_variants": variants(20, 80)}


def test_change_of_the_flag__is_one_row_of_the_flag_in_the_log(
    experiments: Experiments, edit_flag: Callable[..., None]
) -> None:
    made = experiments.made()
    edit_flag(made, filters={"multivariate": {"variants": variants(20, 80)}})

    assert [entry.activity for entry in activity_of(made, scope="FeatureFlag")] == ["created", "updated"]
