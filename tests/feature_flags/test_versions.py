"""Edits begun on an older version of a flag, and edits at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from feature_flags.models import FeatureFlag
from projects.models import Organization, OrganizationMembership, Project, User
from tests.feature_flags.conftest import CONTROL_AND_TEST, GROUPS, Flags, key_of

CONFLICT = "The feature flag was updated by {} since you started editing it. Please refresh and try again."


def edited(flags: Flags, began: dict[str, Any], **sent: Any) -> Any:
    return flags.patch(began["id"], {"version": began["version"], "original_flag": began} | sent)


def refused(answer: Any, who: str = "olivia@acme.test") -> None:
    assert answer.status_code == 409
    assert answer.json() == {
        "type": "server_error",
        "code": "conflict",
        "detail": CONFLICT.format(who),
        "attr": None,
    }


def test_edit__of_a_field_changed_since__conflicts_and_changes_nothing(flags: Flags) -> None:
    began = flags.made()
    now = flags.patch(began["id"], {"name": "first"}).json()
    refused(edited(flags, began, name="second", active=False))
    assert flags.get(began["id"]).json() == now


def test_edit__by_an_unknown_user_before__says_another_user(flags: Flags) -> None:
    began = flags.made()
    FeatureFlag.objects.update(name="first", version=2, last_modified_by=None)
    refused(edited(flags, began, name="second"), "another user")


def test_edit__of_another_field__is_applied_and_keeps_the_change_made_since(flags: Flags) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "first"})
    # The editor sends its whole object; only `tags` is its own doing.
    answer = edited(flags, began, **{**began, "tags": ["mine"]})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["tags"], answer.json()["version"]) == ("first", ["mine"], 3)


def test_edit__to_the_value_it_has_since__does_not_conflict(flags: Flags) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "same"})
    answer = edited(flags, began, name="same")
    assert (answer.status_code, answer.json()["version"]) == (200, 2)


@pytest.mark.parametrize("extra", [{}, {"version": -1}, {"version": None}])
def test_edit__without_version__wins(flags: Flags, extra: dict[str, Any]) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "first"})
    answer = flags.patch(began["id"], {"name": "second", "original_flag": began} | extra)
    assert (answer.status_code, answer.json()["name"]) == (200, "second")


@pytest.mark.parametrize("original", [None, {}, {"tags": []}])
def test_edit__without_the_original__does_not_conflict(flags: Flags, original: Any) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "first"})
    answer = flags.patch(began["id"], {"name": "second", "version": 1, "original_flag": original})
    assert (answer.status_code, answer.json()["name"]) == (200, "second")


@pytest.mark.parametrize("version", [0, 7])
def test_edit__of_any_other_version__is_compared(flags: Flags, version: int) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "first"})
    refused(flags.patch(began["id"], {"name": "second", "version": version, "original_flag": began}))


def test_edit__filters_changed_on_both_sides__conflicts(flags: Flags) -> None:
    began = flags.made(filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}})
    flags.patch(began["id"], {"filters": {"groups": [{"properties": [], "rollout_percentage": 5}]}})
    refused(edited(flags, began, filters={"groups": [{"properties": [], "rollout_percentage": 7}]}))


def test_edit__filters_sent_as_they_were__are_dropped(flags: Flags) -> None:
    began = flags.made(filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}})
    flags.patch(began["id"], {"filters": {"groups": [{"properties": [], "rollout_percentage": 5}]}})
    answer = edited(flags, began, filters=began["filters"], name="mine")
    assert answer.status_code == 200
    assert answer.json()["filters"]["groups"] == [{"properties": [], "rollout_percentage": 5}]


def test_edit__that_breaks_a_rule_and_conflicts__is_told_the_rule(flags: Flags) -> None:
    began = flags.made()
    flags.patch(began["id"], {"name": "first"})
    answer = edited(flags, began, name="second", archived=True)
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_error")


@pytest.mark.parametrize(
    "original", [{"filters": "x"}, {"filters": {"groups": 5}}, {"filters": None, "name": {"a": 1}}]
)
def test_edit__garbage_in_the_original__is_no_error(flags: Flags, original: Any) -> None:
    began = flags.made(filters={"groups": GROUPS})
    answer = flags.patch(
        began["id"], {"version": 9, "original_flag": original, "filters": {"groups": []}, "name": "second"}
    )
    assert answer.status_code in (200, 409)


@pytest.mark.parametrize(
    ("body", "attr", "detail"),
    [
        ({"version": "two"}, "version", "A valid integer is required."),
        ({"original_flag": []}, "original_flag", 'Expected a dictionary of items but got type "list".'),
    ],
)
def test_edit__version_of_the_wrong_type__is_refused(
    flags: Flags, body: dict[str, Any], attr: str, detail: str
) -> None:
    answer = flags.patch(flags.made()["id"], body)
    assert answer.status_code == 400
    assert (answer.json()["attr"], answer.json()["detail"]) == (attr, detail)


# --- at the same moment, on several connections ---------------------------------------------------------------------


@pytest.fixture
def committed(transactional_db: None) -> Flags:
    organization = Organization.objects.create(name="Acme", slug="acme")
    project = Project.objects.create(organization=organization, name="Shop")
    user = User.objects.create_user("olivia@acme.test")
    OrganizationMembership.objects.create(organization=organization, user=user, level=15)
    return Flags(project, key_of(user))


def at_once(*acts: Any) -> list[Any]:
    barrier = Barrier(len(acts))

    def run(act: Any) -> Any:
        barrier.wait()
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        return [future.result() for future in [threads.submit(run, act) for act in acts]]


def caller(flags: Flags) -> Flags:
    other = object.__new__(Flags)
    other.base = flags.base
    other.client = type(flags.client)(headers={"authorization": flags.client.defaults["HTTP_AUTHORIZATION"]})
    return other


def test_edits_of_one_version_at_once__one_is_applied_the_others_conflict(committed: Flags) -> None:
    began = committed.made()
    acts = [lambda name=name: edited(caller(committed), began, name=name) for name in ("one", "two", "three", "four")]
    answers = at_once(*acts)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert committed.get(began["id"]).json() == winner
    assert winner["version"] == 2


def test_edits_without_version_at_once__each_steps_the_version(committed: Flags) -> None:
    flag = committed.made()
    acts = [
        lambda name=name: caller(committed).patch(flag["id"], {"name": name})
        for name in ("one", "two", "three", "four")
    ]
    assert {answer.status_code for answer in at_once(*acts)} == {200}
    assert committed.get(flag["id"]).json()["version"] == 5


def test_creations_of_one_key_at_once__one_is_made_the_others_find_it_taken(committed: Flags) -> None:
    acts = [lambda: caller(committed).post(body={"key": "wanted"})] * 4
    answers = at_once(*acts)
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"unique"}


def test_dependencies_from_both_ends_at_once__close_no_circle(committed: Flags) -> None:
    a, b = committed.made(key="a")["id"], committed.made(key="b")["id"]

    def on(target: int) -> dict[str, Any]:
        condition = {"key": str(target), "type": "flag", "operator": "flag_evaluates_to", "value": True}
        return {"groups": [{"properties": [condition]}]}

    answers = at_once(
        lambda: caller(committed).patch(a, {"filters": on(b)}), lambda: caller(committed).patch(b, {"filters": on(a)})
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400]
