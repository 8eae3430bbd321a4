"""The filters of GET experiments/."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.models import Action
from experiments.models import ExperimentHoldout, ExperimentSavedMetric
from projects.models import Project, User
from tests.experiments.conftest import Experiments
from tests.experiments.documents import action as action_node
from tests.experiments.documents import event, funnel, mean, ratio, retention


@pytest.fixture
def one_of_each(experiments: Experiments, owner_api: APIClient) -> None:
    """A draft, a running, a paused, a stopped and an archived experiment, called so."""
    experiments.made(name="draft", feature_flag_key="d", end_date="2030-01-01")
    experiments.running(name="running", feature_flag_key="r")
    paused = experiments.running(name="paused", feature_flag_key="p")
    experiments.stopped(name="stopped", feature_flag_key="s")
    experiments.stopped(name="archived", feature_flag_key="a", archived=True)
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{paused['feature_flag']['id']}/disable/"
    assert owner_api.post(url).status_code == 200


ALL = {"draft", "running", "paused", "stopped"}


@pytest.mark.parametrize(
    ("status", "names"),
    [
        ("draft", {"draft"}),
        ("running", {"running"}),
        ("paused", {"paused"}),
        ("stopped", {"stopped"}),
        ("complete", {"stopped"}),
        ("COMPLETE", {"stopped"}),
        ("Running", {"running"}),
        ("all", ALL),
        ("", ALL),
    ],
)
def test_status__any_case__selects(experiments: Experiments, one_of_each: None, status: str, names: set[str]) -> None:
    assert set(experiments.names(status=status)) == names


@pytest.mark.parametrize("status", ["launched", "exposure_frozen", "archived", "draft,running", " draft"])
def test_status__unknown__is_refused(experiments: Experiments, status: str) -> None:
    experiments.refused(
        experiments.list(status=status),
        f"Invalid status: '{status}'. Must be one of: draft, running, paused, stopped, complete, all.",
        attr="status",
    )


@pytest.mark.parametrize(
    ("archived", "names"),
    [
        *((value, {"archived"}) for value in ("true", "TRUE", "True")),
        *((value, ALL) for value in ("false", "1", "yes", "", "nonsense")),
    ],
)
def test_archived__only_true__shows_the_archived(
    experiments: Experiments, one_of_each: None, archived: str, names: set[str]
) -> None:
    assert set(experiments.names(archived=archived)) == names


def test_filters__are_combined(experiments: Experiments, one_of_each: None) -> None:
    assert experiments.names(status="stopped", archived="true") == ["archived"]
    assert experiments.names(status="draft", archived="true") == []
    assert experiments.names(status="all", search="ed", order="name") == ["paused", "stopped"]


def test_references__select_by_id(
    experiments: Experiments,
    project: Project,
    owner: User,
    member: User,
    client_for: Callable[..., APIClient],
    holdout: Callable[..., ExperimentHoldout],
) -> None:
    kept_out = holdout()
    first = experiments.made(name="first", holdout_id=kept_out.pk)
    experiments.made(name="second")
    Experiments(client_for(owner), project).made(name="third", feature_flag_key="other")

    assert experiments.names(feature_flag_id=first["feature_flag"]["id"]) == ["second", "first"]
    assert experiments.names(created_by_id=owner.pk) == ["third"]
    assert experiments.names(created_by_id=member.pk) == ["second", "first"]
    assert experiments.names(holdout_id=kept_out.pk) == ["first"]
    assert experiments.names(holdout_id="") == ["third", "second", "first"]


@pytest.mark.parametrize("parameter", ["feature_flag_id", "created_by_id", "holdout_id"])
@pytest.mark.parametrize("value", ["x", "1.5", "1,2", "null", "true", "1_0", "٣", "--1"])
def test_reference__no_integer__is_refused(experiments: Experiments, parameter: str, value: str) -> None:
    experiments.refused(experiments.list(**{parameter: value}), f"{parameter} must be an integer")


@pytest.mark.parametrize("parameter", ["feature_flag_id", "created_by_id", "holdout_id"])
@pytest.mark.parametrize("value", ["0", "-1", str(2**63), "9" * 40, "9" * 5000])
def test_reference__nobodys_id__selects_nothing(experiments: Experiments, parameter: str, value: str) -> None:
    experiments.made()

    assert experiments.names(**{parameter: value}) == []


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("blue", ["Blue 100% button"]),
        ("BUTTON", ["Blue 100% button"]),
        ("100%", ["Blue 100% button"]),
        ("%", ["Blue 100% button"]),
        ("_", ["Other"]),
        ("snake_k", ["Other"]),
        ("SNAKE", ["Other"]),
        ("nothing", []),
        ("Blue%button", []),
        ("\\", []),
        ("'; drop table", []),
    ],
)
def test_search__part_of_name_or_key__any_case_and_literally(
    experiments: Experiments, search: str, names: list[str]
) -> None:
    experiments.made(name="Blue 100% button", feature_flag_key="first")
    experiments.made(name="Other", feature_flag_key="snake_key")

    assert experiments.names(search=search) == names


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("Shop", ["deep", "shop", "shopping"]),
        ("Shop/", ["deep"]),
        ("shop", []),
        ("hop", []),
        ("%", []),
        ("", ["deep", "shop", "shopping", "without"]),
    ],
)
def test_folder__selects_by_prefix(experiments: Experiments, folder: str, names: list[str]) -> None:
    experiments.made(name="shop", feature_flag_key="a", _create_in_folder="Shop")
    experiments.made(name="deep", feature_flag_key="b", _create_in_folder="Shop/Deep")
    experiments.made(name="shopping", feature_flag_key="c", _create_in_folder="Shopping")
    experiments.made(name="without", feature_flag_key="d")

    assert experiments.names(folder=folder, order="name") == names


# event


@pytest.mark.parametrize("field", ["metrics", "metrics_secondary"])
@pytest.mark.parametrize(
    "metric",
    [
        mean(event("paid")),
        funnel(event("seen"), event("paid")),
        ratio(event("seen"), event("paid")),
        ratio(event("paid"), event("seen")),
        retention(start_event=event("paid")),
        retention(completion_event=event("paid")),
    ],
    ids=lambda metric: metric["metric_type"],
)
def test_event__named_by_an_inline_metric__selects(experiments: Experiments, field: str, metric: Any) -> None:
    experiments.made(name="named", feature_flag_key="a", **{field: [mean(event("other")), metric]})
    experiments.made(name="other", feature_flag_key="b", **{field: [mean(event("paid later"))]})
    experiments.made(name="every event", feature_flag_key="c", metrics=[mean({"kind": "EventsNode"})])

    assert experiments.names(event="paid") == ["named"]
    assert experiments.names(event="nobody") == []


def test_event__named_by_a_saved_metric__selects(
    experiments: Experiments, saved_metric: Callable[..., ExperimentSavedMetric]
) -> None:
    saved = saved_metric(source=event("paid"))
    experiments.made(name="named", saved_metrics_ids=[{"id": saved.pk}])
    experiments.made(name="not linked")

    assert experiments.names(event="paid") == ["named"]


def test_event__through_an_action__selects(
    experiments: Experiments,
    action: Callable[..., Action],
    saved_metric: Callable[..., ExperimentSavedMetric],
) -> None:
    bought = action(event="paid").pk
    other = action("Other", event="seen").pk
    saved = saved_metric(source=action_node(bought))
    experiments.made(name="inline", metrics=[funnel(event("x"), action_node(bought))])
    experiments.made(name="saved", saved_metrics_ids=[{"id": saved.pk}])
    experiments.made(name="other", metrics=[mean(action_node(other))])
    assert experiments.names(event="paid") == ["saved", "inline"]

    Action.objects.filter(pk=bought).update(deleted=True)
    assert experiments.names(event="paid") == []


@pytest.mark.parametrize("name", ['"', "\\", "$.*", "a' or 'b", "ü", "💥", "$event", '"}]}'])
def test_event__any_name__is_taken_literally(experiments: Experiments, name: str) -> None:
    experiments.made(name="named", feature_flag_key="a", metrics=[mean(event(name))])
    experiments.made(name="other", feature_flag_key="b", metrics=[mean(event("x"))])

    assert experiments.names(event=name) == ["named"]


def test_event__beside_enormous_numbers__selects(experiments: Experiments) -> None:
    metric = mean(event("paid"), version=10**4000, threshold=1e300)
    experiments.made(name="named", metrics=[metric])

    assert experiments.names(event="paid") == ["named"]


def test_filters__on_retrieve__are_without_meaning(experiments: Experiments) -> None:
    made = experiments.made()

    assert experiments.client.get(experiments.url(made["id"]), {"status": "nonsense"}).status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [("search=%00", "null_characters_not_allowed"), ("search=%ED%A0%80", "surrogate_characters_not_allowed")],
)
def test_filters__bad_characters__are_refused(experiments: Experiments, query: str, code: str) -> None:
    answer = experiments.client.get(f"{experiments.base}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
