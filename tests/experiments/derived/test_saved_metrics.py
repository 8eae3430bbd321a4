"""/experiment_saved_metrics/ and everything a saved metric reaches."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from activity.models import ActivityEntry
from events.models import Action
from experiments.models import ExperimentSavedMetric
from projects.models import Project, User
from tests.cast import ClientFor
from tests.experiments.conftest import Experiments, everything

QUERY: dict[str, Any] = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "source": {"kind": "EventsNode", "event": "purchase"},
}


class SavedMetrics:
    """A caller of the saved metric routes of one project."""

    def __init__(self, client: APIClient, project: Project) -> None:
        self.client = client
        self.base = f"/api/projects/{project.pk}/experiment_saved_metrics/"

    def made(self, **fields: Any) -> dict[str, Any]:
        answer = self.post({"name": "Purchases", "query": QUERY} | fields)
        assert answer.status_code == 201, answer.json()
        made: dict[str, Any] = answer.json()
        return made

    def post(self, body: Any) -> Any:
        return self.client.post(self.base, body)

    def patch(self, saved: dict[str, Any], body: Any) -> Any:
        return self.client.patch(f"{self.base}{saved['id']}/", body)

    def delete(self, saved: dict[str, Any]) -> Any:
        return self.client.delete(f"{self.base}{saved['id']}/")

    def get(self, path: object = "", **query: str) -> Any:
        return self.client.get(f"{self.base}{path}/" if path else self.base, query)


@pytest.fixture
def saved_metrics(api: APIClient, project: Project) -> SavedMetrics:
    return SavedMetrics(api, project)


def test_create__query_gets_a_uuid(saved_metrics: SavedMetrics) -> None:
    made = saved_metrics.made()
    assert made["query"] == {**QUERY, "uuid": made["query"]["uuid"]}
    assert len(made["query"]["uuid"]) == 36
    assert saved_metrics.get(made["id"]).json() == made


def test_create__sent_uuid__is_kept(saved_metrics: SavedMetrics) -> None:
    assert saved_metrics.made(query={**QUERY, "uuid": "mine"})["query"]["uuid"] == "mine"


def test_create__tags__are_trimmed_unique_and_sorted(saved_metrics: SavedMetrics) -> None:
    assert saved_metrics.made(tags=[" shop", "core", "shop"])["tags"] == ["core", "shop"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (None, "Query is required to create a saved metric"),
        ({}, "Query is required to create a saved metric"),
        ("mean", "query must be an object"),
        ({"kind": "Other"}, "Invalid metric: metric kind must be 'ExperimentMetric'"),
        (
            {"kind": "ExperimentTrendsQuery"},
            "Invalid metric: legacy metric kind 'ExperimentTrendsQuery' is no longer supported. "
            "Use 'ExperimentMetric' instead.",
        ),
        ({"kind": "ExperimentMetric"}, "Invalid metric: ExperimentMetric requires a metric_type"),
        (
            {"kind": "ExperimentMetric", "metric_type": "median"},
            "Invalid metric: ExperimentMetric metric_type must be 'mean', 'funnel', 'ratio', or 'retention'",
        ),
    ],
)
def test_create__query_refused(saved_metrics: SavedMetrics, experiments: Experiments, query: Any, detail: str) -> None:
    experiments.refused(saved_metrics.post({"name": "M", "query": query}), detail, attr="query")
    assert not ExperimentSavedMetric.objects.exists()


def test_create__without_query__is_required(saved_metrics: SavedMetrics, experiments: Experiments) -> None:
    experiments.refused(saved_metrics.post({"name": "M"}), "This field is required.", attr="query", code="required")


def test_create__unknown_action__is_refused(saved_metrics: SavedMetrics, experiments: Experiments) -> None:
    query = {**QUERY, "source": {"kind": "ActionsNode", "id": 99}}
    experiments.refused(
        saved_metrics.post({"name": "M", "query": query}),
        "Action(s) with ID 99 not found or deleted. "
        "Each ActionsNode must reference an existing action belonging to this project.",
    )


def test_update__changed_query__shows_at_once_in_all_experiments(
    saved_metrics: SavedMetrics, experiments: Experiments
) -> None:
    saved = saved_metrics.made()
    linked = [experiments.made(feature_flag_key=key, saved_metrics_ids=[{"id": saved["id"]}]) for key in ("one", "two")]
    changed = {**QUERY, "source": {"kind": "EventsNode", "event": "refund"}}
    answer = saved_metrics.patch(saved, {"query": changed})
    assert answer.status_code == 200
    for experiment in linked:
        query = experiments.read(experiment["id"])["saved_metrics"][0]["query"]
        assert query["source"]["event"] == "refund"
        assert query["uuid"] == saved["query"]["uuid"]
        assert query["fingerprint"] != experiment["saved_metrics"][0]["query"]["fingerprint"]


def test_update__other_uuid__is_refused(saved_metrics: SavedMetrics, experiments: Experiments) -> None:
    saved = saved_metrics.made()
    answer = saved_metrics.patch(saved, {"query": {**QUERY, "uuid": "another"}})
    experiments.refused(answer, "Saved metric UUID cannot be changed", attr="query")


def test_update__sent_back_as_read__writes_nothing(saved_metrics: SavedMetrics, experiments: Experiments) -> None:
    saved = saved_metrics.made(tags=["a"], description="All of them")
    experiments.made(saved_metrics_ids=[{"id": saved["id"]}])
    before = everything()
    assert saved_metrics.patch(saved, saved).json() == saved
    assert everything() == before


def test_update__action_deleted_since__is_no_obstacle(
    saved_metrics: SavedMetrics, action: Callable[..., Action]
) -> None:
    bought = action()
    saved = saved_metrics.made(query={**QUERY, "source": {"kind": "ActionsNode", "id": bought.pk}})
    Action.objects.update(deleted=True)
    answer = saved_metrics.patch(saved, {"query": {**saved["query"], "goal": "decrease"}})
    assert answer.status_code == 200


def test_delete__removes_links_and_their_places(saved_metrics: SavedMetrics, experiments: Experiments) -> None:
    saved = saved_metrics.made(query={**QUERY, "uuid": "saved-1"})
    experiment = experiments.made(
        metrics=[{**QUERY, "uuid": "own"}], saved_metrics_ids=[{"id": saved["id"]}, {"id": saved_metrics.made()["id"]}]
    )
    assert saved_metrics.delete(saved).status_code == 204
    shown = experiments.read(experiment["id"])
    assert len(shown["saved_metrics"]) == 1
    assert "saved-1" not in shown["primary_metrics_ordered_uuids"]
    assert len(shown["primary_metrics_ordered_uuids"]) == 2


def test_changes__are_recorded_as_of_a_shared_metric(saved_metrics: SavedMetrics) -> None:
    saved = saved_metrics.made()
    saved_metrics.patch(saved, {"name": "Renamed"})
    saved_metrics.delete(saved)
    rows = ActivityEntry.objects.filter(scope="ExperimentSavedMetric").order_by("created_at")
    assert [row.activity for row in rows] == ["created", "updated", "deleted"]
    assert {row.detail["type"] for row in rows} == {"shared_metric"}


def test_list__by_name_without_case__then_searched(saved_metrics: SavedMetrics) -> None:
    for name in ("beta", "Alpha", "gamma_ray"):
        saved_metrics.made(name=name)
    names = [shown["name"] for shown in saved_metrics.get().json()["results"]]
    assert names == ["Alpha", "beta", "gamma_ray"]
    assert saved_metrics.get(search="A_R").json()["count"] == 1
    assert saved_metrics.get(search="x_y").json()["count"] == 0


def test_foreign_saved_metric__is_not_found(saved_metrics: SavedMetrics, outsider: User, client_for: ClientFor) -> None:
    elsewhere = Project.objects.get(organization__memberships__user=outsider)
    foreign = SavedMetrics(client_for(outsider), elsewhere).made()
    before = everything()
    for answer in (
        saved_metrics.get(foreign["id"]),
        saved_metrics.patch(foreign, {"name": "x"}),
        saved_metrics.delete(foreign),
    ):
        assert answer.status_code == 404
    assert everything() == before
