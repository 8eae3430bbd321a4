"""Experiments through other doors of HTTP, and after people have gone."""

import pytest

from experiments.models import Experiment
from tests.experiments.conftest import Experiments, everything


def test_form__is_read_like_json(experiments: Experiments) -> None:
    made = experiments.client.post(
        experiments.base, "name=Blue&feature_flag_key=k&deleted=false", content_type="application/x-www-form-urlencoded"
    )
    assert made.status_code == 201
    url = experiments.url(made.json()["id"])
    changed = experiments.client.patch(
        url, "name=Green&only_count_matured_users=1", content_type="application/x-www-form-urlencoded"
    )

    assert (changed.json()["name"], changed.json()["only_count_matured_users"]) == ("Green", True)


def test_empty_body__is_an_empty_object(experiments: Experiments) -> None:
    made = experiments.made()
    before = everything()
    answer = experiments.client.generic("PATCH", experiments.url(made["id"]), "", content_type="application/json")

    assert (answer.status_code, answer.json()) == (200, made)
    assert everything() == before


def test_other_media_type__is_refused(experiments: Experiments) -> None:
    answer = experiments.client.post(experiments.base, "<a/>", content_type="application/xml")

    assert (answer.status_code, answer.json()["detail"]) == (
        415,
        'Unsupported media type "application/xml" in request.',
    )


def test_head__answers_without_a_body(experiments: Experiments) -> None:
    made = experiments.made()
    answer = experiments.client.head(experiments.url(made["id"]))

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"] == experiments.get(made["id"]).headers["ETag"]


@pytest.mark.parametrize("path", ["", "{id}"])
def test_without_the_slash__is_the_same_address(experiments: Experiments, path: str) -> None:
    made = experiments.made()
    address = (experiments.base + path.replace("{id}", str(made["id"]))).rstrip("/")

    assert experiments.client.get(address).status_code == 200


def test_current_project__is_the_callers(experiments: Experiments) -> None:
    made = experiments.made()

    assert experiments.client.get(f"/api/projects/@current/experiments/{made['id']}/").json() == made


def test_creator_gone__is_null_and_sorted_without_failing(experiments: Experiments) -> None:
    made = experiments.made()
    Experiment.objects.update(created_by=None)

    assert experiments.read(made["id"])["created_by"] is None
    assert experiments.names(order="created_by") == experiments.names(order="-created_by") == ["Blue button"]
    assert experiments.changed(made["id"], name="Green")["created_by"] is None
