"""Entity tags of experiments, and writes that depend on one."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.models import Action
from experiments.models import ExperimentHoldout, ExperimentSavedMetric
from projects.models import Project, User
from tests.experiments.conftest import Experiments, everything
from tests.experiments.documents import action as action_node
from tests.experiments.documents import mean

STALE = {
    "type": "invalid_request",
    "code": "precondition_failed",
    "detail": "The experiment was changed since you read it. Fetch it again and retry.",
    "attr": None,
}


def tag_of(experiments: Experiments, experiment_id: int) -> str:
    tag: str = experiments.get(experiment_id).headers["ETag"]
    return tag


def test_tag__is_strong_and_the_same_for_one_representation(experiments: Experiments) -> None:
    created = experiments.try_new(start_date="2026-01-01")
    key = created.json()["id"]
    tag = created.headers["ETag"]

    assert tag.startswith('"')
    assert tag.endswith('"')
    assert experiments.get(key).headers["ETag"] == tag
    assert experiments.patch(key, {}).headers["ETag"] == tag
    ended = experiments.post({}, f"{key}/end")
    assert ended.headers["ETag"] == tag_of(experiments, key) != tag


def test_tag__is_the_same_for_every_caller(
    experiments: Experiments, project: Project, owner: User, client_for: Callable[..., APIClient]
) -> None:
    key = experiments.made()["id"]

    assert tag_of(Experiments(client_for(owner), project), key) == tag_of(experiments, key)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Green"},
        {"description": None},
        {"filters": {"a": 1.0}},
        {"filters": {"a": True}},
        {"metrics": [mean()]},
        {"start_date": "2026-01-01"},
        {"deleted": True},
    ],
    ids=str,
)
def test_tag__changes_with_each_value(experiments: Experiments, change: dict[str, Any]) -> None:
    made = experiments.made(filters={"a": 1})
    tag = tag_of(experiments, made["id"])

    assert experiments.patch(made["id"], change).headers["ETag"] != tag


def test_tag__changes_with_flag_holdout_saved_metric_and_action(
    experiments: Experiments,
    owner_api: APIClient,
    holdout: Callable[..., ExperimentHoldout],
    saved_metric: Callable[..., ExperimentSavedMetric],
    action: Callable[..., Action],
) -> None:
    made = experiments.made(
        metrics=[mean(action_node(action().pk))],
        holdout_id=holdout().pk,
        saved_metrics_ids=[{"id": saved_metric().pk}],
    )
    tags = [tag_of(experiments, made["id"])]
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
    assert owner_api.patch(url, {"name": "Other"}).status_code == 200
    tags.append(tag_of(experiments, made["id"]))
    ExperimentHoldout.objects.update(name="Other")
    tags.append(tag_of(experiments, made["id"]))
    ExperimentSavedMetric.objects.update(name="Other")
    tags.append(tag_of(experiments, made["id"]))
    Action.objects.update(name="Other")
    tags.append(tag_of(experiments, made["id"]))

    assert len(set(tags)) == 5


@pytest.mark.parametrize("form", ["{tag}", "*", '"other", {tag}', '{tag},"other"', ' {tag} , "x"', " * "])
def test_if_match__with_the_present_tag__writes(experiments: Experiments, form: str) -> None:
    made = experiments.made()
    wanted = form.replace("{tag}", tag_of(experiments, made["id"]))
    answer = experiments.patch(made["id"], {"name": "Green"}, **{"if-match": wanted})

    assert (answer.status_code, answer.json()["name"]) == (200, "Green")


@pytest.mark.parametrize("form", ["W/{tag}", '"other"', "", "other", '"other", W/{tag}', "{bare}", "{tag}x"])
def test_if_match__without_the_present_tag__changes_nothing(experiments: Experiments, form: str) -> None:
    made = experiments.made()
    tag = tag_of(experiments, made["id"])
    wanted = form.replace("{tag}", tag).replace("{bare}", tag.strip('"'))
    before = everything()
    answer = experiments.patch(made["id"], {"name": "Green"}, **{"if-match": wanted})

    assert (answer.status_code, answer.json()) == (412, STALE)
    assert everything() == before


@pytest.mark.parametrize(
    "act",
    [
        *("archive", "unarchive", "create_exposure_cohort_for_experiment", "duplicate", "end", "launch", "pause"),
        *("resume", "reset", "ship_variant", "copy_to_project"),
    ],
)
def test_if_match__every_post_below_the_experiment__heeds_it(experiments: Experiments, act: str) -> None:
    made = experiments.made()
    before = everything()
    answer = experiments.client.post(experiments.url(f"{made['id']}/{act}"), {}, headers={"if-match": '"old"'})

    assert (answer.status_code, answer.json()) == (412, STALE)
    assert everything() == before


def test_if_match__second_writer_with_the_first_tag__loses(experiments: Experiments) -> None:
    made = experiments.made()
    tag = tag_of(experiments, made["id"])
    first = experiments.patch(made["id"], {"name": "First"}, **{"if-match": tag})
    second = experiments.patch(made["id"], {"name": "Second"}, **{"if-match": tag})
    third = experiments.patch(made["id"], {"name": "Third"}, **{"if-match": first.headers["ETag"]})

    assert [first.status_code, second.status_code, third.status_code] == [200, 412, 200]
    assert experiments.read(made["id"])["name"] == "Third"


def test_without_if_match__the_last_write_wins(experiments: Experiments) -> None:
    made = experiments.made()
    experiments.changed(made["id"], name="First")

    assert experiments.changed(made["id"], name="Second")["name"] == "Second"


@pytest.mark.parametrize("body", [{"name": ""}, [1], {"type": "web"}])
def test_if_match__is_judged_before_the_body(experiments: Experiments, body: Any) -> None:
    answer = experiments.patch(experiments.made()["id"], body, **{"if-match": '"old"'})

    assert (answer.status_code, answer.json()) == (412, STALE)


def test_if_match__is_judged_before_an_unreadable_body(experiments: Experiments) -> None:
    url = experiments.url(experiments.made()["id"])
    answer = experiments.client.patch(url, "{", content_type="application/json", headers={"if-match": '"old"'})

    assert answer.status_code == 412


def test_if_match__is_judged_after_the_lookup(experiments: Experiments) -> None:
    assert experiments.patch(999999, {}, **{"if-match": '"old"'}).status_code == 404
    gone = experiments.made(deleted=True)
    assert experiments.patch(gone["id"], {}, **{"if-match": '"old"'}).status_code == 404


def test_if_match__of_a_deleted_experiment__is_that_of_its_deletion(experiments: Experiments) -> None:
    made = experiments.made()
    tag = experiments.patch(made["id"], {"deleted": True}).headers["ETag"]

    assert experiments.patch(made["id"], {"deleted": False}, **{"if-match": '"old"'}).status_code == 412
    assert experiments.patch(made["id"], {"deleted": False}, **{"if-match": tag}).status_code == 200


def test_headers__on_collections_and_reads__are_ignored(experiments: Experiments) -> None:
    made = experiments.made()
    tag = tag_of(experiments, made["id"])
    headers = {"if-match": '"old"', "if-none-match": tag}

    assert experiments.client.get(experiments.url(made["id"]), headers=headers).status_code == 200
    assert experiments.client.get(experiments.base, headers=headers).status_code == 200
    created = experiments.client.post(experiments.base, {"name": "n", "feature_flag_key": "k"}, headers=headers)
    assert created.status_code == 201
    assert experiments.patch(made["id"], {"name": "x"}, **{"if-none-match": "*"}).status_code == 200
