"""What a list of experiments costs: the same number of queries, however many there are and whatever hangs on them."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

URL = "/api/projects/@current/experiments/"
# The key with its user; the project with the caller's level; the throttle; the page; links; holdouts; people.
QUERIES = 7
METRIC = {
    "kind": "ExperimentMetric",
    "metric_type": "mean",
    "source": {"kind": "EventsNode", "event": "$pageview"},
}


def created(api: APIClient, path: str, document: dict[str, Any]) -> dict[str, Any]:
    response = api.post(f"/api/projects/@current/{path}/", document)
    assert response.status_code == 201, response.json()
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture
def experiments(api: APIClient) -> list[dict[str, Any]]:
    """Twelve experiments; every one has a holdout and two saved metrics."""
    holdout = created(
        api, "experiment_holdouts", {"name": "Held out", "filters": [{"properties": [], "rollout_percentage": 10}]}
    )
    saved = [
        created(api, "experiment_saved_metrics", {"name": name, "query": METRIC})["id"] for name in ("Views", "Sales")
    ]
    return [
        created(
            api,
            "experiments",
            {
                "name": f"Experiment {number}",
                "feature_flag_key": f"flag-{number}",
                "holdout_id": holdout["id"],
                "metrics": [METRIC],
                "saved_metrics_ids": [{"id": key, "metadata": {"type": "primary"}} for key in saved],
            },
        )
        for number in range(12)
    ]


@pytest.mark.parametrize("limit", [1, 5, 12])
def test_list__any_page_size__costs_the_same(
    api: APIClient,
    experiments: list[dict[str, Any]],
    django_assert_num_queries: DjangoAssertNumQueries,
    limit: int,
) -> None:
    with django_assert_num_queries(QUERIES):
        page = api.get(URL, {"limit": limit})
    assert len(page.json()["results"]) == limit


def test_list__shown_experiment__is_the_one_that_creation_answered(
    api: APIClient, experiments: list[dict[str, Any]]
) -> None:
    assert api.get(URL).json()["results"] == experiments[::-1]


@pytest.mark.parametrize(("offset", "shown"), [(0, 5), (10, 2), (12, 0), (500, 0)])
def test_list__any_offset__knows_the_count(
    api: APIClient, experiments: list[dict[str, Any]], offset: int, shown: int
) -> None:
    page = api.get(URL, {"limit": 5, "offset": offset}).json()
    assert (page["count"], len(page["results"])) == (12, shown)


def test_list__nothing_there__counts_zero(api: APIClient) -> None:
    assert api.get(URL).json() == {"count": 0, "next": None, "previous": None, "results": []}
