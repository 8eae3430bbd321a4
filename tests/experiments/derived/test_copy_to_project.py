"""POST experiments/{id}/copy_to_project/."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.models import Action
from experiments.models import ExperimentHoldout, ExperimentSavedMetric
from feature_flags import services as flags
from projects import services
from projects.models import Organization, Project, User
from tests.cast import ClientFor, error
from tests.experiments.conftest import Experiments, everything


@pytest.fixture
def target(organization: Organization, project: Project) -> Project:
    return services.create_project(organization=organization, name="Target")[0]


def copy(experiments: Experiments, source: dict[str, Any], target: object, **body: Any) -> Any:
    return experiments.post({"target_team_id": target, **body}, f"{source['id']}/copy_to_project")


def test_copy__other_project__is_a_draft_there_with_a_flag_of_its_own(
    experiments: Experiments, target: Project
) -> None:
    source = experiments.running()
    answer = copy(experiments, source, target.pk)
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert made["status"] == "draft"
    assert made["feature_flag_key"] == source["feature_flag_key"]
    assert made["feature_flag"]["team_id"] == target.pk
    assert made["feature_flag"]["id"] != source["feature_flag"]["id"]
    assert experiments.get(made["id"]).status_code == 404  # it is not in the source's project
    assert experiments.client.get(f"/api/projects/{target.pk}/experiments/{made['id']}/").json() == made


def test_copy__flag_of_that_key_in_the_target__is_linked(
    experiments: Experiments, target: Project, owner: User
) -> None:
    source = experiments.made()
    there = flags.create_flag(
        project=target,
        user=owner,
        key=source["feature_flag_key"],
        filters={
            "groups": [{"properties": [], "rollout_percentage": 100}],
            "multivariate": {
                "variants": [
                    {"key": "control", "rollout_percentage": 10},
                    {"key": "other", "rollout_percentage": 90},
                ]
            },
        },
    )
    made = copy(experiments, source, target.pk).json()
    assert made["feature_flag"]["id"] == there.pk
    assert [variant["key"] for variant in made["parameters"]["feature_flag_variants"]] == ["control", "other"]


def test_copy__holdout_and_saved_metrics_stay_behind(
    experiments: Experiments,
    target: Project,
    holdout: Callable[..., ExperimentHoldout],
    saved_metric: Callable[..., ExperimentSavedMetric],
) -> None:
    metric = {
        "kind": "ExperimentMetric",
        "metric_type": "mean",
        "uuid": "own",
        "source": {"kind": "EventsNode", "event": "purchase"},
    }
    source = experiments.made(
        holdout_id=holdout(10).pk, saved_metrics_ids=[{"id": saved_metric("saved-1").pk}], metrics=[metric]
    )
    made = copy(experiments, source, target.pk).json()
    assert (made["holdout_id"], made["saved_metrics"]) == (None, [])
    assert made["primary_metrics_ordered_uuids"] == [made["metrics"][0]["uuid"]]


def test_copy__metric_on_an_action__is_refused(
    experiments: Experiments, target: Project, action: Callable[..., Action]
) -> None:
    bought = action()
    metric = {
        "kind": "ExperimentMetric",
        "metric_type": "mean",
        "source": {"kind": "ActionsNode", "id": bought.pk},
    }
    source = experiments.made(metrics=[metric])
    before = everything()
    experiments.refused(
        copy(experiments, source, target.pk),
        f"Action(s) with ID {bought.pk} not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project.",
    )
    assert everything() == before


def test_copy__own_project__is_a_duplicate(experiments: Experiments, project: Project) -> None:
    source = experiments.made(name="Blue")
    answer = copy(experiments, source, project.pk)
    assert answer.status_code == 201
    assert answer.json()["name"] == "Blue (Copy)"
    assert answer.json()["feature_flag"]["id"] == source["feature_flag"]["id"]


def test_copy__name__counts_the_targets_experiments(experiments: Experiments, target: Project) -> None:
    source = experiments.made(name="Blue")
    names = [copy(experiments, source, target.pk).json()["name"] for _ in range(2)]
    assert names == ["Blue (Copy)", "Blue (Copy) 1"]


@pytest.mark.parametrize("target_id", [0, 999_999, 10**30])
def test_copy__unknown_target__is_not_found(experiments: Experiments, target_id: int) -> None:
    answer = copy(experiments, experiments.made(), target_id)
    assert answer.status_code == 404
    assert answer.json() == error("not_found", "Target team not found.", type="invalid_request")


def test_copy__target_of_another_organization__is_not_found(experiments: Experiments, foreign_project: Project) -> None:
    answer = copy(experiments, experiments.made(), foreign_project.pk)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Target team not found."


def test_copy__key_bound_to_the_source__may_not_write_there(
    experiments: Experiments, project: Project, target: Project, member: User, client_for: ClientFor
) -> None:
    source = experiments.made()
    bound = Experiments(client_for(member, scoped_teams=[project.pk]), project)
    answer = copy(bound, source, target.pk)
    assert answer.status_code == 403
    assert answer.json() == error(
        "permission_denied",
        "You do not have write access to the target project.",
        type="authentication_error",
    )


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        ({}, "required", "This field is required."),
        ({"target_team_id": None}, "null", "This field may not be null."),
        ({"target_team_id": "x"}, "invalid_input", "A valid integer is required."),
    ],
)
def test_copy__target_missing_or_no_number(
    experiments: Experiments, body: dict[str, Any], code: str, detail: str
) -> None:
    source = experiments.made()
    experiments.refused(
        experiments.post(body, f"{source['id']}/copy_to_project"), detail, attr="target_team_id", code=code
    )


def test_copy__unknown_experiment__is_the_earlier_refusal(api: APIClient, project: Project) -> None:
    answer = api.post(f"/api/projects/{project.pk}/experiments/99/copy_to_project/", {})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Not found."
