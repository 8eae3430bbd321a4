"""Deleting by PATCH, and bringing back."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, ExperimentHoldout
from tests.experiments.conftest import Experiments, Json, activity_of, everything, flag_of

NOT_FOUND = {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}
HOPELESS = (
    "Cannot restore experiment: the linked feature flag has been deleted. "
    "Restore the feature flag first, then restore the experiment."
)


@pytest.fixture
def deleted(experiments: Experiments) -> Json:
    made = experiments.running()
    return experiments.changed(made["id"], deleted=True)


@pytest.mark.parametrize("state", ["draft", "running", "stopped"])
def test_delete__in_any_state__sets_the_mark_only(experiments: Experiments, state: str) -> None:
    made = {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state]()
    changed = experiments.changed(made["id"], deleted=True)

    assert changed == {**made, "deleted": True, "updated_at": changed["updated_at"]}
    assert flag_of(made).version == 1
    assert [entry.activity for entry in activity_of(made)] == ["created", "deleted"]


@pytest.mark.parametrize("sent", [True, "true", 1, "1"])
def test_delete__any_form_of_true__deletes(experiments: Experiments, sent: Any) -> None:
    made = experiments.made()
    experiments.changed(made["id"], deleted=sent)

    assert Experiment.objects.get().deleted is True


def test_delete__with_other_fields__writes_them_too(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(made["id"], deleted=True, name="Gone", start_date="2026-01-01")

    assert (changed["name"], changed["status"], changed["deleted"]) == ("Gone", "running", True)


ROUTES = [
    *(("GET", path) for path in ("", "activity/", "results/", "exposures/")),
    *(
        ("POST", f"{name}/")
        for name in (
            *("archive", "unarchive", "create_exposure_cohort_for_experiment", "duplicate", "end", "launch", "pause"),
            *("resume", "reset", "ship_variant", "copy_to_project"),
        )
    ),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_deleted__every_detail_route__is_not_found(
    experiments: Experiments, deleted: Json, method: str, path: str
) -> None:
    before = everything()
    answer = experiments.client.generic(
        method, f"{experiments.base}{deleted['id']}/{path}", "{}", content_type="application/json"
    )

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert everything() == before


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"deleted": True}, {"deleted": "x"}, {"name": ""}], ids=str)
def test_deleted__any_other_patch__is_not_found(experiments: Experiments, deleted: Json, body: Any) -> None:
    before = everything()
    answer = experiments.patch(deleted["id"], body)

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert everything() == before


def test_deleted__lists_and_stats__leave_it_out(
    experiments: Experiments, holdout: Callable[..., ExperimentHoldout]
) -> None:
    experiments.stopped(name="Gone", deleted=True)

    assert experiments.names() == experiments.names(archived="true") == []
    assert experiments.get("stats").json()["active_experiments"] == 0


@pytest.mark.parametrize("sent", [False, "false", "0", 0, "False"])
def test_restore__any_form_of_false__brings_it_back(experiments: Experiments, deleted: Json, sent: Any) -> None:
    restored = experiments.changed(deleted["id"], deleted=sent)

    assert restored == {**deleted, "deleted": False, "updated_at": restored["updated_at"]}
    assert experiments.read(deleted["id"]) == restored
    assert activity_of(deleted)[-1].activity == "restored"


def test_restore__may_carry_other_fields(experiments: Experiments, deleted: Json) -> None:
    restored = experiments.changed(deleted["id"], deleted=False, name="Back", end_date="2026-03-01", archived=True)

    assert (restored["name"], restored["status"], restored["archived"]) == ("Back", "stopped", True)


def test_restore__with_a_wrong_field__leaves_it_deleted(experiments: Experiments, deleted: Json) -> None:
    answer = experiments.patch(deleted["id"], {"deleted": False, "name": ""})

    experiments.refused(answer, "This field may not be blank.", attr="name", code="blank")
    assert Experiment.objects.get().deleted is True


@pytest.fixture
def without_flag(experiments: Experiments, owner_api: APIClient) -> Json:
    """A deleted experiment whose flag was deleted after it."""
    made = experiments.made()
    experiments.changed(made["id"], deleted=True)
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
    assert owner_api.patch(url, {"deleted": True}).status_code == 200
    return made


def test_restore__flag_deleted__is_refused(experiments: Experiments, without_flag: Json) -> None:
    before = everything()

    experiments.refused(experiments.patch(without_flag["id"], {"deleted": False}), HOPELESS)
    experiments.refused(
        experiments.patch(without_flag["id"], {"deleted": False, "name": ""}),
        "This field may not be blank.",
        attr="name",
        code="blank",
    )
    experiments.refused(experiments.patch(without_flag["id"], {"deleted": False, "type": "web"}), HOPELESS)
    assert everything() == before


def test_restore__flag_restored_first__works(
    experiments: Experiments, without_flag: Json, owner_api: APIClient
) -> None:
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{without_flag['feature_flag']['id']}/"
    assert owner_api.patch(url, {"deleted": False}).status_code == 200

    assert experiments.changed(without_flag["id"], deleted=False)["feature_flag"]["deleted"] is False


@pytest.mark.parametrize("sent", [False, None])
def test_not_deleted__sent_with_a_deleted_flag__is_no_restoring(
    experiments: Experiments, owner_api: APIClient, sent: Any
) -> None:
    made = experiments.stopped()
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
    assert owner_api.patch(url, {"deleted": True}).status_code == 200

    assert experiments.changed(made["id"], deleted=sent, name="Green")["name"] == "Green"


def test_restore__of_another_project__is_not_found(
    experiments: Experiments, deleted: Json, outsider_api: APIClient, foreign_project: Any
) -> None:
    answer = Experiments(outsider_api, foreign_project).patch(deleted["id"], {"deleted": False})

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert Experiment.objects.get().deleted is True


def test_deleted__its_flag_key__can_be_taken_once_the_flag_is_deleted(
    experiments: Experiments, without_flag: Json
) -> None:
    again = experiments.made()

    assert again["feature_flag"]["id"] != without_flag["feature_flag"]["id"]
    assert again["feature_flag_key"] == "blue-button"
