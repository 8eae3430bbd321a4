"""/experiment_holdouts/ and everything a holdout reaches."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from experiments.models import Experiment, ExperimentHoldout
from feature_flags.models import FeatureFlag
from projects.models import Project, User
from tests.cast import ClientFor
from tests.experiments.conftest import Experiments, activity_of, everything, flag_of


class Holdouts:
    """A caller of the holdout routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.base = f"/api/projects/{project.pk}/experiment_holdouts/"

    def made(self, percentage: float = 10, **fields: Any) -> dict[str, Any]:
        filters = [{"properties": [], "rollout_percentage": percentage}]
        answer = self.client.post(self.base, {"name": "Never shown", "filters": filters} | fields)
        assert answer.status_code == 201, answer.json()
        made: dict[str, Any] = answer.json()
        return made

    def post(self, body: Any) -> Any:
        return self.client.post(self.base, body)

    def patch(self, holdout: dict[str, Any], body: Any) -> Any:
        return self.client.patch(f"{self.base}{holdout['id']}/", body)

    def delete(self, holdout: dict[str, Any]) -> Any:
        return self.client.delete(f"{self.base}{holdout['id']}/")

    def get(self, path: object = "") -> Any:
        return self.client.get(f"{self.base}{path}/" if path else self.base)


@pytest.fixture
def holdouts(api: APIClient, project: Project) -> Holdouts:
    return Holdouts(api, project)


def test_create__names_the_variant_after_itself(holdouts: Holdouts) -> None:
    made = holdouts.made(10, description="Five of fifty", filters=[{"rollout_percentage": 10, "variant": "mine"}])
    assert made["filters"] == [{"rollout_percentage": 10, "variant": f"holdout-{made['id']}", "properties": []}]
    assert made["created_by"]["email"] == "member@example.com"
    assert holdouts.get(made["id"]).json() == made


@pytest.mark.parametrize(
    ("filters", "detail", "code"),
    [
        ({"a": 1}, 'Expected a list of items but got type "dict".', "not_a_list"),
        (["x"], "Rollout percentage must be present.", "invalid_input"),
        ([{}], "Rollout percentage must be present.", "invalid_input"),
        ([{"rollout_percentage": None}], "Rollout percentage must be present.", "invalid_input"),
        ([{"rollout_percentage": "10"}], "Rollout percentage must be present.", "invalid_input"),
        ([{"rollout_percentage": True}], "Rollout percentage must be present.", "invalid_input"),
        ([{"rollout_percentage": 101}], "Rollout percentage must be between 0 and 100.", "invalid_input"),
        ([{"rollout_percentage": -1}], "Rollout percentage must be between 0 and 100.", "invalid_input"),
    ],
)
def test_create__filters_refused(
    holdouts: Holdouts, experiments: Experiments, filters: Any, detail: str, code: str
) -> None:
    experiments.refused(holdouts.post({"name": "H", "filters": filters}), detail, attr="filters", code=code)
    assert not ExperimentHoldout.objects.exists()


@pytest.mark.parametrize("body", [{"name": "H"}, {"name": "H", "filters": []}])
def test_create__without_filters__is_refused(
    holdouts: Holdouts, experiments: Experiments, body: dict[str, Any]
) -> None:
    experiments.refused(holdouts.post(body), "Filters are required to create an holdout group")


def test_update__empty_filters__are_refused(holdouts: Holdouts, experiments: Experiments) -> None:
    answer = holdouts.patch(holdouts.made(), {"filters": []})
    experiments.refused(answer, "Filters must not be empty.", attr="filters")


@pytest.mark.parametrize("state", ["made", "running", "stopped"])
def test_update__new_share__reaches_the_flag_in_every_state(
    holdouts: Holdouts, experiments: Experiments, state: str
) -> None:
    holdout = holdouts.made(10)
    experiment = getattr(experiments, state)(holdout_id=holdout["id"])
    assert holdouts.patch(holdout, {"filters": [{"rollout_percentage": 25}]}).status_code == 200
    flag = flag_of(experiment)
    assert flag.filters["holdout"] == {"id": holdout["id"], "exclusion_percentage": 25}
    assert flag.version == 2


def test_update__deleted_flag__is_left_alone(holdouts: Holdouts, experiments: Experiments) -> None:
    holdout = holdouts.made(10)
    experiment = experiments.stopped(holdout_id=holdout["id"])
    FeatureFlag.objects.update(deleted=True)
    holdouts.patch(holdout, {"filters": [{"rollout_percentage": 25}]})
    assert flag_of(experiment).filters["holdout"]["exclusion_percentage"] == 10


def test_update__same_values__write_nothing(holdouts: Holdouts, experiments: Experiments) -> None:
    holdout = holdouts.made(10)
    experiments.made(holdout_id=holdout["id"])
    before = everything()
    assert holdouts.patch(holdout, holdout).json() == holdout
    assert everything() == before


def test_update__other_name__leaves_the_flag_alone(holdouts: Holdouts, experiments: Experiments) -> None:
    holdout = holdouts.made(10)
    experiment = experiments.made(holdout_id=holdout["id"])
    holdouts.patch(holdout, {"name": "Renamed"})
    assert flag_of(experiment).version == 1
    assert experiments.read(experiment["id"])["holdout"]["name"] == "Renamed"


def test_delete__frees_experiments_and_flags(holdouts: Holdouts, experiments: Experiments) -> None:
    holdout = holdouts.made(10)
    experiment = experiments.running(holdout_id=holdout["id"])
    assert holdouts.delete(holdout).status_code == 204
    shown = experiments.read(experiment["id"])
    assert (shown["holdout"], shown["holdout_id"]) == (None, None)
    assert shown["feature_flag"]["filters"]["holdout"] is None
    assert holdouts.get(holdout["id"]).status_code == 404


def test_delete__is_recorded_for_holdout_flag_and_experiment(holdouts: Holdouts, experiments: Experiments) -> None:
    holdout = holdouts.made(10)
    experiment = experiments.running(holdout_id=holdout["id"])
    holdouts.delete(holdout)
    rows = ActivityEntry.objects.filter(scope="ExperimentHoldout", item_id=str(holdout["id"])).order_by("created_at")
    assert [(row.activity, row.detail["type"]) for row in rows] == [("created", "holdout"), ("deleted", "holdout")]
    assert [change["field"] for change in activity_of(experiment)[-1].detail["changes"]] == ["holdout_id"]
    flag_changes = activity_of(experiment, scope="FeatureFlag")[-1].detail["changes"]
    assert [change["field"] for change in flag_changes] == ["filters", "version"]


def test_list__newest_first(holdouts: Holdouts) -> None:
    made = [holdouts.made(name=name)["id"] for name in ("a", "b", "c")]
    answer = holdouts.get().json()
    assert (answer["count"], [shown["id"] for shown in answer["results"]]) == (3, made[::-1])


def test_put__is_not_offered(holdouts: Holdouts) -> None:
    answer = holdouts.client.put(f"{holdouts.base}{holdouts.made()['id']}/", {})
    assert answer.status_code == 405


@pytest.mark.parametrize("scope", ["experiment_holdout:write", "experiment:write"])
def test_scopes__either_serves(project: Project, member: User, client_for: ClientFor, scope: str) -> None:
    assert Holdouts(client_for(member, [scope]), project).made()["name"] == "Never shown"


def test_scopes__neither__names_the_first(project: Project, member: User, client_for: ClientFor) -> None:
    answer = Holdouts(client_for(member, ["feature_flag:write"]), project).get()
    assert answer.status_code == 403
    assert answer.json()["detail"] == "API key missing required scope 'experiment_holdout:read'"


def test_foreign_holdout__is_not_found(holdouts: Holdouts, outsider: User, client_for: ClientFor) -> None:
    elsewhere = Project.objects.get(organization__memberships__user=outsider)
    foreign = Holdouts(client_for(outsider), elsewhere).made()
    before = everything()
    for answer in (holdouts.get(foreign["id"]), holdouts.patch(foreign, {"name": "x"}), holdouts.delete(foreign)):
        assert answer.status_code == 404
    assert everything() == before
    assert Experiment.objects.count() == 0
