"""GET experiments/: pages, what each result is, and their order."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from projects import services
from projects.models import Project, User
from projects.secret_keys import create_secret_key
from tests.cast import bearer
from tests.experiments.conftest import Experiments
from tests.experiments.documents import mean


def three(experiments: Experiments, **fields: Any) -> list[int]:
    """The ids of experiments called A, B and C."""
    return [experiments.made(name=name, feature_flag_key=f"flag-{name}", **fields)["id"] for name in "ABC"]


def test_list__is_newest_first_and_full(experiments: Experiments) -> None:
    ids = three(experiments, metrics=[mean()], description="Why")
    page = experiments.list().json()

    assert (page["count"], page["next"], page["previous"]) == (3, None, None)
    assert [shown["id"] for shown in page["results"]] == ids[::-1]
    assert page["results"] == [experiments.read(key) for key in ids[::-1]]


def test_list__of_nothing__is_an_empty_page(experiments: Experiments) -> None:
    assert experiments.list().json() == {"count": 0, "next": None, "previous": None, "results": []}


def test_list__soft_deleted_and_archived__are_left_out(experiments: Experiments) -> None:
    experiments.made(name="Gone", deleted=True)
    experiments.stopped(name="Put away", archived=True)
    experiments.made(name="There")

    assert experiments.names() == ["There"]
    assert experiments.list().json()["count"] == 1


def test_list__of_another_project__shows_none_of_ours(
    experiments: Experiments, foreign_project: Project, outsider_api: APIClient
) -> None:
    experiments.made()
    theirs = Experiments(outsider_api, foreign_project)
    theirs.made(name="Theirs")

    assert (experiments.names(), theirs.names()) == (["Blue button"], ["Theirs"])


def test_list__has_no_entity_tag(experiments: Experiments) -> None:
    experiments.made()

    assert "ETag" not in experiments.list().headers


def test_list__pages__keep_the_other_parameters(experiments: Experiments) -> None:
    three(experiments)
    base = f"http://testserver{experiments.base}"
    first = experiments.list(limit=1, order="name", search="flag").json()
    second = experiments.client.get(first["next"]).json()

    assert first["next"] == f"{base}?limit=1&offset=1&order=name&search=flag"
    assert second["previous"] == f"{base}?limit=1&order=name&search=flag"
    assert [first["results"][0]["name"], second["results"][0]["name"]] == ["A", "B"]
    assert second["count"] == 3


@pytest.mark.parametrize("offset", ["3", "99999", str(2**63), "9" * 30])
def test_list__past_the_end__is_an_empty_page(experiments: Experiments, offset: str) -> None:
    three(experiments)
    page = experiments.list(offset=offset).json()

    assert (page["count"], page["results"]) == (3, [])


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", "9" * 5000])
def test_list__unusable_limit_or_offset__means_the_default(experiments: Experiments, value: str) -> None:
    three(experiments)

    assert len(experiments.list(limit=value).json()["results"]) == 3
    if value != "9" * 5000:  # a number, and past the end
        assert len(experiments.list(offset=value).json()["results"]) == 3


# Access


def test_list_and_retrieve__project_secret_key_that_reads__sees_them_without_a_level(
    experiments: Experiments, project: Project, owner: User
) -> None:
    made = experiments.made()
    _, value = create_secret_key(project=project, user=owner, label="reader", scopes=["experiment:read"])
    reader = Experiments(bearer(value), project)
    answer = reader.get(made["id"])

    assert answer.json() == {**made, "user_access_level": None}
    assert answer.headers["ETag"] == experiments.get(made["id"]).headers["ETag"]
    assert [shown["user_access_level"] for shown in reader.list().json()["results"]] == [None]
    refused = reader.patch(made["id"], {"name": "Mine"})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "This action does not support project secret API key access",
    )


@pytest.mark.parametrize("path", ["", "1"])
def test_read__without_the_scope__is_refused(
    project: Project, member: User, client_for: Callable[..., APIClient], path: str
) -> None:
    answer = Experiments(client_for(member, scopes=["feature_flag:read"]), project).get(path)

    assert (answer.status_code, answer.json()["detail"]) == (403, "API key missing required scope 'experiment:read'")


def test_read__anonymous__is_told_to_authenticate(anonymous_api: APIClient, project: Project) -> None:
    assert Experiments(anonymous_api, project).list().status_code == 401


# Order


@pytest.mark.parametrize("order", ["created_at", "updated_at", "name", "start_date", "end_date", "status", "duration"])
def test_order__by_each_field__and_reversed(experiments: Experiments, order: str) -> None:
    # Of every field A has the least, B more, C the most.
    dates = {
        "A": ("2026-01-02", "2026-01-03"),
        "B": ("2026-01-03", "2026-01-10"),
        "C": ("2026-01-04", "2026-02-10"),
    }
    if order == "status":
        experiments.made(name="A", feature_flag_key="a")
        experiments.running(name="B", feature_flag_key="b")
        experiments.stopped(name="C", feature_flag_key="c")
    else:
        for name, (start, end) in dates.items():
            experiments.made(name=name, feature_flag_key=name, start_date=start, end_date=end)

    assert experiments.names(order=order) == ["A", "B", "C"]
    assert experiments.names(order=f"-{order}") == ["C", "B", "A"]


def test_order__by_update__moves_the_changed_one(experiments: Experiments) -> None:
    first, *_ = three(experiments)
    experiments.changed(first, description="New")

    assert experiments.names(order="-updated_at") == ["A", "C", "B"]


def test_order__by_creator__is_by_first_name_else_email(
    experiments: Experiments, project: Project, client_for: Callable[..., APIClient]
) -> None:
    for email, first_name in (("a@x.test", "zoe"), ("m@x.test", ""), ("z@x.test", "bob")):
        user = services.create_user(
            email=email, password=None, level=1, organization=project.organization, first_name=first_name
        )
        Experiments(client_for(user), project).made(name=f"By {first_name or email}")

    assert experiments.names(order="created_by") == ["By bob", "By m@x.test", "By zoe"]
    assert experiments.names(order="-created_by") == ["By zoe", "By m@x.test", "By bob"]


def test_order__by_duration__running_ones_last_until_now_and_drafts_have_none(experiments: Experiments) -> None:
    experiments.made(name="draft", feature_flag_key="a", end_date="2026-01-01")
    experiments.made(name="short", feature_flag_key="b", start_date="2020-01-01", end_date="2020-01-02")
    experiments.made(name="running", feature_flag_key="c", start_date="2000-01-01")
    experiments.made(name="long", feature_flag_key="d", start_date="1900-01-01", end_date="2020-01-01")

    assert experiments.names(order="duration") == ["short", "running", "long", "draft"]
    assert experiments.names(order="-duration") == ["draft", "long", "running", "short"]


def test_order__by_status__running_and_paused_are_one(experiments: Experiments, owner_api: APIClient) -> None:
    paused = experiments.running(name="paused", feature_flag_key="a")
    experiments.stopped(name="stopped", feature_flag_key="b")
    experiments.running(name="running", feature_flag_key="c")
    experiments.made(name="draft", feature_flag_key="d")
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{paused['feature_flag']['id']}/disable/"
    assert owner_api.post(url).status_code == 200

    assert experiments.names(order="status") == ["draft", "paused", "running", "stopped"]
    assert experiments.names(order="-status") == ["stopped", "running", "paused", "draft"]


@pytest.mark.parametrize(("order", "names"), [("name", "ABC"), ("-name", "CBA")])
def test_order__of_equals__is_by_id_in_the_same_direction(experiments: Experiments, order: str, names: str) -> None:
    for key in "ABC":
        experiments.made(name="Same", feature_flag_key=key)
    keys = [shown["feature_flag_key"] for shown in experiments.list(order=order).json()["results"]]

    assert keys == list(names)


@pytest.mark.parametrize("order", ["id", "-conclusion", "--name", "-", "feature_flag__key", "Name", "?"])
def test_order__unknown__is_refused(experiments: Experiments, order: str) -> None:
    experiments.refused(experiments.list(order=order), f"Invalid order field: '{order}'")


def test_order__empty__is_the_default(experiments: Experiments) -> None:
    three(experiments)

    assert experiments.names(order="") == ["C", "B", "A"]
    assert Experiment.objects.count() == 3
