"""A caller of the experiment routes, and makers of what experiments refer to."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from common.documents import as_text
from events.models import Action
from experiments.models import Experiment, ExperimentHoldout, ExperimentSavedMetric, ExperimentToSavedMetric
from feature_flags import services as flags
from feature_flags.models import FeatureFlag
from projects.models import Project, User

STARTED = "2026-01-01T00:00:00Z"
ENDED = "2026-02-01T00:00:00Z"

Json = dict[str, Any]


def variants(*weights: float, keys: tuple[str, ...] = ("control", "test", "third")) -> list[Json]:
    """`control`, `test` and `third` with these percentages."""
    return [{"key": key, "rollout_percentage": weight} for key, weight in zip(keys, weights, strict=False)]


class Experiments:
    """A caller of the experiment routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.project = project
        self.base = f"/api/projects/{project.pk}/experiments/"

    def url(self, path: object = "") -> str:
        return self.base + (f"{path}/" if path != "" else "")

    def list(self, **query: Any) -> Any:
        return self.client.get(self.base, query)

    def names(self, **query: Any) -> Any:
        """The names of a list that must succeed, in its order."""
        answer = self.list(**query)
        assert answer.status_code == 200, answer.json()
        return [shown["name"] for shown in answer.json()["results"]]

    def get(self, path: object) -> Any:
        return self.client.get(self.url(path))

    def read(self, experiment_id: int) -> Json:
        """The experiment, which must be there."""
        answer = self.get(experiment_id)
        assert answer.status_code == 200, answer.json()
        shown: Json = answer.json()
        return shown

    def post(self, body: Any = None, path: object = "") -> Any:
        return self.client.post(self.url(path), {} if body is None else body)

    def patch(self, experiment_id: object, body: Any, **headers: str) -> Any:
        return self.client.patch(self.url(experiment_id), body, headers=headers)

    def try_new(self, **fields: Any) -> Any:
        """The answer to a creation with the required fields and these."""
        return self.post({"name": "Blue button", "feature_flag_key": "blue-button"} | fields)

    def made(self, **fields: Any) -> Json:
        """A new experiment; the creation must succeed."""
        answer = self.try_new(**fields)
        assert answer.status_code == 201, answer.json()
        made: Json = answer.json()
        return made

    def running(self, **fields: Any) -> Json:
        return self.made(start_date=STARTED, **fields)

    def stopped(self, **fields: Any) -> Json:
        return self.made(start_date=STARTED, end_date=ENDED, **fields)

    def changed(self, experiment_id: int, **changes: Any) -> Json:
        """The experiment after a PATCH that must succeed."""
        answer = self.patch(experiment_id, changes)
        assert answer.status_code == 200, answer.json()
        changed: Json = answer.json()
        return changed

    def refused(self, answer: Any, detail: str, attr: str | None = None, code: str = "invalid_input") -> None:
        """Assert that the answer is the 400 of a broken rule, word for word."""
        assert answer.status_code == 400, answer.content
        assert answer.json() == {"type": "validation_error", "code": code, "detail": detail, "attr": attr}


@pytest.fixture
def experiments(api: APIClient, project: Project) -> Experiments:
    """The experiments of the project, as the member sees them."""
    return Experiments(api, project)


@pytest.fixture
def flag(project: Project, owner: User) -> Callable[..., FeatureFlag]:
    """Makes a live flag that can carry an experiment, unless its filters say otherwise."""

    def make(key: str = "blue-button", *, weights: tuple[float, ...] = (50, 50), **fields: Any) -> FeatureFlag:
        filters = {
            "groups": [{"properties": [], "rollout_percentage": 100}],
            "multivariate": {"variants": variants(*weights)},
        } | fields.pop("filters", {})
        return flags.create_flag(project=project, user=owner, key=key, filters=filters, **fields)

    return make


@pytest.fixture
def holdout(project: Project, owner: User) -> Callable[..., ExperimentHoldout]:
    def make(percentage: float = 10, name: str = "Never shown") -> ExperimentHoldout:
        made = ExperimentHoldout.objects.create(project=project, name=name, created_by=owner)
        made.filters = [{"properties": [], "rollout_percentage": percentage, "variant": f"holdout-{made.pk}"}]
        made.save()
        return made

    return make


def saved_query(uuid: str, source: Json | None = None) -> Json:
    return {
        "kind": "ExperimentMetric",
        "metric_type": "mean",
        "uuid": uuid,
        "source": source or {"kind": "EventsNode", "event": "purchase"},
    }


@pytest.fixture
def saved_metric(project: Project, owner: User) -> Callable[..., ExperimentSavedMetric]:
    def make(
        uuid: str = "saved-1", name: str = "Purchases", source: Json | None = None, **fields: Any
    ) -> ExperimentSavedMetric:
        made: ExperimentSavedMetric = ExperimentSavedMetric.objects.create(
            **{"project": project, "name": name, "query": saved_query(uuid, source), "created_by": owner} | fields
        )
        return made

    return make


@pytest.fixture
def action(project: Project) -> Callable[..., Action]:
    def make(name: str = "Bought", event: str = "purchase", **fields: Any) -> Action:
        made: Action = Action.objects.create(**{"project": project, "name": name, "steps": [{"event": event}]} | fields)
        return made

    return make


@pytest.fixture
def foreign_project(outsider: User) -> Project:
    """A project of another organization."""
    return Project.objects.get(organization__memberships__user=outsider)


def everything() -> dict[str, Any]:
    """All rows that a request about experiments may write, to the last character: equal when nothing was written."""
    tables = {
        Experiment: "pk",
        FeatureFlag: "pk",
        ExperimentToSavedMetric: "pk",
        ExperimentHoldout: "pk",
        ExperimentSavedMetric: "pk",
        ActivityEntry: "id",
    }
    written = {}
    for model, key in tables.items():
        columns = [column.attname for column in model._meta.concrete_fields]
        texts = {f"text_{name}": as_text(name) for name in columns}
        written[model.__name__] = list(model._default_manager.order_by(key).annotate(**texts).values_list(*texts))
    return written


def flag_of(shown: Json) -> FeatureFlag:
    return FeatureFlag.objects.get(pk=shown["feature_flag"]["id"])


def activity_of(shown: Json, *, scope: str = "Experiment") -> list[ActivityEntry]:
    """The rows about the experiment, or about its flag, oldest first."""
    item = shown["feature_flag"]["id"] if scope == "FeatureFlag" else shown["id"]
    return list(ActivityEntry.objects.filter(scope=scope, item_id=str(item)).order_by("created_at", "id"))
