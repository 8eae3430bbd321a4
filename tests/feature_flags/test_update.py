"""PATCH feature_flags/{id}/"""

from collections.abc import Callable
from typing import Any

import pytest

from activity.models import ActivityEntry
from experiments.models import Experiment, ExperimentStatus
from feature_flags.models import FeatureFlag
from projects.models import OrganizationMembership, Project, User
from tests.feature_flags.conftest import CONTROL_AND_TEST, GROUPS, Flags, ToldUsers, key_of

STARTED = {"status": ExperimentStatus.RUNNING, "start_date": "2026-01-01T00:00:00Z"}
STOPPED = {"status": ExperimentStatus.STOPPED, "start_date": "2026-01-01T00:00:00Z", "end_date": "2026-02-01T00:00:00Z"}


def split(*weights: float) -> dict[str, Any]:
    keys = ("control", "test", "third")
    return {"variants": [{"key": key, "rollout_percentage": w} for key, w in zip(keys, weights, strict=False)]}


def test_update__one_field__steps_the_version_and_writes_history(flags: Flags, project: Project, owner: User) -> None:
    flag = flags.made()
    colleague = User.objects.create_user("carl@acme.test")
    OrganizationMembership.objects.create(organization=project.organization, user=colleague)
    answer = Flags(project, key_of(colleague)).patch(flag["id"], {"name": "Nav"})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["name"], changed["version"]) == ("Nav", 2)
    assert changed["last_modified_by"]["email"] == "carl@acme.test"
    assert changed["created_by"]["email"] == owner.email
    assert changed["updated_at"] > flag["updated_at"]
    entry = ActivityEntry.objects.get(activity="updated")
    assert entry.user == colleague
    assert entry.detail["changes"] == [
        {"type": "FeatureFlag", "action": "changed", "field": "name", "before": "", "after": "Nav"},
        {"type": "FeatureFlag", "action": "changed", "field": "version", "before": 1, "after": 2},
    ]


@pytest.mark.parametrize(
    "body", [{}, {"unknown": 1}, {"filters": {}}, {"active": True, "name": ""}, {"filters": {"groups": GROUPS}}]
)
def test_update__that_changes_nothing__writes_nothing(flags: Flags, body: dict[str, Any]) -> None:
    flag = flags.made(filters={"groups": GROUPS})
    answer = flags.patch(flag["id"], body)
    assert (answer.status_code, answer.json()) == (200, flag)
    assert ActivityEntry.objects.count() == 1


def test_update__filters__replaces_the_sent_keys_and_keeps_the_others(flags: Flags) -> None:
    flag = flags.made(
        filters={
            "groups": GROUPS,
            "multivariate": {"variants": CONTROL_AND_TEST},
            "payloads": {"test": "1"},
            "holdout": {"id": 1, "exclusion_percentage": 5},
        }
    )
    answer = flags.patch(flag["id"], {"filters": {"groups": [{"properties": [], "rollout_percentage": 10}]}})
    assert answer.json()["filters"] == flag["filters"] | {"groups": [{"properties": [], "rollout_percentage": 10}]}


def test_update__empty_groups__clears_them(flags: Flags) -> None:
    flag = flags.made(filters={"groups": GROUPS, "payloads": {"true": "1"}})
    answer = flags.patch(flag["id"], {"filters": {"groups": []}})
    assert answer.json()["filters"] == {"groups": [], "payloads": {"true": "1"}}


def test_update__removed_variant_with_a_payload__is_refused(flags: Flags) -> None:
    flag = flags.made(
        filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}, "payloads": {"test": "1"}}
    )
    answer = flags.patch(flag["id"], {"filters": {"multivariate": split(100)}})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "Payload key 'test' does not match any variant key."


def test_update__form_of_a_number__is_a_change(flags: Flags) -> None:
    flag = flags.made(filters={"groups": [{"properties": [], "rollout_percentage": 50}]})
    answer = flags.patch(flag["id"], {"filters": {"groups": [{"properties": [], "rollout_percentage": 50.0}]}})
    assert b'"rollout_percentage":50.0' in answer.content
    assert answer.json()["version"] == 2


def test_update__aggregation_alone__moves_the_groups_that_followed_it(flags: Flags) -> None:
    flag = flags.made(filters={"groups": GROUPS, "aggregation_group_type_index": 0})
    filters = flags.patch(flag["id"], {"filters": {"aggregation_group_type_index": 2}}).json()["filters"]
    assert filters["aggregation_group_type_index"] == 2
    assert [group["aggregation_group_type_index"] for group in filters["groups"]] == [2]


def test_update__key__renames_the_flag(flags: Flags) -> None:
    flag = flags.made()
    flags.made(key="taken")
    assert flags.patch(flag["id"], {"key": "renamed"}).json()["key"] == "renamed"
    answer = flags.patch(flag["id"], {"key": "taken"})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "unique",
        "detail": "There is already a feature flag with this key.",
        "attr": "key",
    }


@pytest.mark.parametrize(
    ("stored", "body", "detail"),
    [
        (
            {},
            {"archived": True},
            "Cannot archive an enabled feature flag. Disable it first, or send active: false in the same request.",
        ),
        (
            {"active": False},
            {"archived": True, "active": True},
            "Cannot archive an enabled feature flag. Disable it first, or send active: false in the same request.",
        ),
        (
            {"active": False, "archived": True},
            {"active": True},
            "Cannot enable an archived feature flag. Unarchive it first.",
        ),
        (
            {"ensure_experience_continuity": True},
            {"bucketing_identifier": "device_id"},
            "Cannot enable 'persist across authentication steps' when using device ID bucketing. "
            "These features are incompatible.",
        ),
    ],
)
def test_update__contradictory_state__is_refused(
    flags: Flags, stored: dict[str, Any], body: dict[str, Any], detail: str
) -> None:
    flag = flags.made(**stored)
    answer = flags.patch(flag["id"], body)
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": detail,
        "attr": None,
    }
    assert flags.get(flag["id"]).json() == flag


def test_update__archive_and_disable_at_once__is_fine(flags: Flags) -> None:
    flag = flags.patch(flags.made()["id"], {"archived": True, "active": False}).json()
    assert (flag["archived"], flag["active"], flag["status"]) == (True, False, "ARCHIVED")
    back = flags.patch(flag["id"], {"archived": False, "active": True}).json()
    assert (back["archived"], back["active"], back["version"]) == (False, True, 3)


@pytest.mark.parametrize("unknown", ["987654", "x", "99999999999999999999", "-1"])
def test_update__unknown_flag__is_not_found_before_the_body_is_read(flags: Flags, unknown: str) -> None:
    answer = flags.client.patch(flags.url(unknown), {"key": ""})
    assert answer.status_code == 404
    assert answer.json() == {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None}


def test_update__flag_of_another_project__is_not_found(flags: Flags, project: Project) -> None:
    other = Project.objects.create(organization=project.organization, name="Other")
    foreign = FeatureFlag.objects.create(project=other, key="theirs", filters={"groups": []})
    assert flags.patch(foreign, {"name": "mine"}).status_code == 404
    assert flags.get(foreign.pk).status_code == 404


# --- linked experiments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"multivariate": split(70, 30)}, [("a-flag", False)]),
        ({"multivariate": split(50, 30, 20)}, [("a-flag", False)]),
        ({"groups": [{"properties": [], "rollout_percentage": 10}]}, [("a-flag", True)]),
        ({"aggregation_group_type_index": 1}, [("a-flag", False)]),
        ({"groups": [*GROUPS, {"properties": [], "rollout_percentage": 3}]}, []),
        ({"payloads": {"test": "1"}}, []),
        ({"holdout": {"id": 4, "exclusion_percentage": 10}}, []),
        ({"multivariate": {"variants": CONTROL_AND_TEST}}, []),
    ],
)
def test_update__tells_linked_experiments_what_they_keep(
    flags: Flags, users_of_flags: ToldUsers, filters: dict[str, Any], told: list[tuple[str, bool]]
) -> None:
    flag = flags.made(filters={"groups": GROUPS, "multivariate": {"variants": CONTROL_AND_TEST}})
    assert flags.patch(flag["id"], {"filters": filters}).status_code == 200
    assert users_of_flags.told == told


@pytest.mark.parametrize("fields", [STARTED, STARTED | {"name": "Paused"}])
def test_update__variant_of_a_running_experiment__cannot_be_removed(
    flags: Flags, experiment_on: Callable[..., Experiment], fields: dict[str, Any]
) -> None:
    flag = flags.made(filters={"groups": GROUPS, "multivariate": split(50, 25, 25)})
    experiment = experiment_on(flag["id"], **fields)
    answer = flags.patch(flag["id"], {"filters": {"multivariate": split(100)}})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "code": "invalid_input",
        "detail": (
            "Cannot remove variant(s) 'test', 'third' from a feature flag that is linked to running experiment(s): "
            f'"{experiment.name}" (ID: {experiment.pk}). Please stop the experiment(s) before removing variants.'
        ),
        "attr": None,
    }
    assert flags.patch(flag["id"], {"filters": {"multivariate": split(10, 80, 10)}}).status_code == 200


@pytest.mark.parametrize("fields", [{}, STOPPED, STARTED | {"deleted": True}])
def test_update__variant_of_an_experiment_not_running__can_be_removed(
    flags: Flags, experiment_on: Callable[..., Experiment], fields: dict[str, Any]
) -> None:
    flag = flags.made(filters={"groups": GROUPS, "multivariate": split(50, 25, 25)})
    experiment_on(flag["id"], **fields)
    assert flags.patch(flag["id"], {"filters": {"multivariate": split(50, 50)}}).status_code == 200


def test_retrieve__shows_live_experiments_on_the_flag(flags: Flags, experiment_on: Callable[..., Experiment]) -> None:
    flag = flags.made()
    draft, running = experiment_on(flag["id"], name="D"), experiment_on(flag["id"], name="R", **STARTED)
    experiment_on(flag["id"], deleted=True)
    shown = flags.get(flag["id"]).json()
    assert shown["experiment_set"] == [draft.pk, running.pk]
    assert shown["experiment_set_metadata"] == [
        {"id": draft.pk, "name": "D", "is_running": False},
        {"id": running.pk, "name": "R", "is_running": True},
    ]
