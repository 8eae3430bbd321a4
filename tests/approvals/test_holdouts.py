"""The gate in front of holdouts."""

import pytest

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy, ChangeRequest
from experiments.models import ExperimentHoldout
from feature_flags.models import FeatureFlag
from projects.models import User
from tests.approvals.conftest import Experiments, Flags, Json, MakePolicy, Requests, held_back, stored

KEYS_OF_UPDATE = ["experiment_holdout.update", "experiment.update", "feature_flag.update"]
KEYS_OF_DELETE = ["experiment_holdout.delete", "experiment.update", "feature_flag.update"]


@pytest.fixture
def used(experiments: Experiments) -> tuple[Json, Json]:
    """A holdout of 10 % and a running experiment on it."""
    holdout = experiments.holdout(10)
    experiment = experiments.done(experiments.made(holdout_id=holdout["id"]), "launch")
    return holdout, experiment


def share_of_flag() -> object:
    return (FeatureFlag.objects.get().filters.get("holdout") or {}).get("exclusion_percentage")


@pytest.mark.parametrize("key", KEYS_OF_UPDATE)
def test_update__held_back(experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], key: str) -> None:
    holdout, experiment = used
    policy(key)
    before = stored(besides_requests=True)

    request = held_back(experiments.change_holdout(holdout, 20, name="Wider"))

    assert stored(besides_requests=True) == before
    assert request["action_key"] == key
    assert (request["resource_type"], request["resource_id"]) == ("experiment_holdout", str(holdout["id"]))
    assert request["intent"] == {
        "act": "holdout_update",
        "http_method": "PATCH",
        "holdout_id": holdout["id"],
        "holdout_name": "Never shown",
        "current_state": {"exclusion_percentage": 10},
        "gated_changes": {"exclusion_percentage": 20},
        "desired_changes": {"name": "Wider", "filters": [{"properties": [], "rollout_percentage": 20}]},
        "affected_experiments": [{"id": experiment["id"], "name": "Blue button", "flag_key": "blue-button"}],
    }
    assert request["intent_display"] == {
        "description": "Change the exclusion percentage of holdout 'Never shown'",
        "before": {"exclusion_percentage": 10},
        "after": {"exclusion_percentage": 20},
    }


@pytest.mark.parametrize("key", KEYS_OF_DELETE)
def test_delete__held_back(experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], key: str) -> None:
    holdout, _ = used
    policy(key)
    before = stored(besides_requests=True)

    request = held_back(experiments.delete_holdout(holdout))

    assert stored(besides_requests=True) == before
    assert request["action_key"] == key
    assert (request["intent"]["act"], request["intent"]["http_method"]) == ("holdout_delete", "DELETE")
    assert request["intent"]["gated_changes"] == {"deleted": True}


@pytest.mark.parametrize("key", ["experiment_holdout.delete", "experiment.launch", "feature_flag.enable"])
def test_update__other_policies__not_held_back(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], key: str
) -> None:
    policy(key)

    assert experiments.change_holdout(used[0], 20).status_code == 200
    assert share_of_flag() == 20


def test_without_an_experiment__only_policies_of_holdouts_and_flags_count(
    experiments: Experiments, policy: MakePolicy
) -> None:
    holdout = experiments.holdout(10)
    policy("experiment.update")

    assert experiments.change_holdout(holdout, 20).status_code == 200
    policy("experiment_holdout.update")
    held_back(experiments.change_holdout(holdout, 30))
    assert experiments.delete_holdout(holdout).status_code == 204


def test_same_share__not_held_back(experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json]) -> None:
    for key in KEYS_OF_UPDATE:
        policy(key)

    assert experiments.change_holdout(used[0], 10, name="Renamed").status_code == 200
    assert experiments.change_holdout(used[0], description="Why").status_code == 200
    assert not ChangeRequest.objects.exists()


def test_invalid__refused_and_no_request(experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json]) -> None:
    policy("experiment_holdout.update")

    assert experiments.change_holdout(used[0], 101).status_code == 400
    assert experiments.change_holdout(used[0], filters=[]).status_code == 400
    assert not ChangeRequest.objects.exists()


def test_conditions__on_the_share(experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json]) -> None:
    policy(
        "experiment_holdout.update",
        conditions={"type": "change_amount", "field": "exclusion_percentage", "operator": ">", "value": 5},
    )

    assert experiments.change_holdout(used[0], 15).status_code == 200
    held_back(experiments.change_holdout(used[0], 21))


def test_update_and_delete__pending_side_by_side(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json]
) -> None:
    policy("experiment_holdout.update")
    policy("experiment_holdout.delete")

    held_back(experiments.change_holdout(used[0], 20))
    held_back(experiments.delete_holdout(used[0]))
    assert experiments.change_holdout(used[0], 30).json()["code"] == "change_request_pending"


def test_approved_update__changes_holdout_and_flags(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests, member: User
) -> None:
    holdout, _ = used
    policy("feature_flag.update")
    request = held_back(experiments.change_holdout(holdout, 20, name="Wider"))

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    assert decided["result"] == {"resource_id": str(holdout["id"]), "resource_version": None}
    shown = experiments.read_holdout(holdout).json()
    assert (shown["name"], shown["filters"][0]["rollout_percentage"]) == ("Wider", 20)
    assert share_of_flag() == 20
    rows = ActivityEntry.objects.filter(detail__isnull=False).exclude(scope="ChangeRequest")
    applied = [row for row in rows if (row.detail["trigger"] or {}).get("job_type") == "change_request"]
    assert {(row.scope, row.user) for row in applied} == {("ExperimentHoldout", member), ("FeatureFlag", member)}


def test_approved_delete__deletes_and_frees_the_experiments(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests
) -> None:
    holdout, experiment = used
    policy("experiment_holdout.delete")
    request = held_back(experiments.delete_holdout(holdout))

    assert requests.approved(request["id"])["status"] == "applied"
    assert experiments.read_holdout(holdout).status_code == 404
    assert experiments.read(experiment)["holdout"] is None
    assert share_of_flag() is None


def test_share_moved__stale_then_a_failed_precondition(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests
) -> None:
    holdout, _ = used
    policy("experiment_holdout.update")
    request = held_back(experiments.change_holdout(holdout, 20))
    ApprovalPolicy.objects.update(enabled=False)
    experiments.change_holdout(holdout, 30)

    assert requests.read(request["id"])["validation_status"] == "stale"
    decided = requests.approved(request["id"])

    assert decided["change_request"]["apply_error"] == (
        "Precondition failed: The exclusion percentage was changed since this change was requested."
    )
    assert share_of_flag() == 30


def test_affected_experiments_moved__failed_precondition(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests
) -> None:
    holdout, _ = used
    policy("experiment_holdout.delete")
    request = held_back(experiments.delete_holdout(holdout))
    experiments.made(feature_flag_key="another", holdout_id=holdout["id"])

    decided = requests.approved(request["id"])

    assert decided["change_request"]["apply_error"] == (
        "Precondition failed: The affected experiments have changed since this change was requested."
    )
    assert ExperimentHoldout.objects.exists()


def test_as_wanted_by_now__applied(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests
) -> None:
    holdout, _ = used
    policy("experiment_holdout.update")
    policy("experiment_holdout.delete")
    update = held_back(experiments.change_holdout(holdout, 20))
    delete = held_back(experiments.delete_holdout(holdout))
    ApprovalPolicy.objects.update(enabled=False)
    experiments.change_holdout(holdout, 20)
    assert requests.approved(update["id"])["status"] == "applied"
    experiments.delete_holdout(holdout)

    assert requests.approved(delete["id"])["status"] == "applied"


def test_update_of_a_holdout_that_is_gone__failed_precondition(
    experiments: Experiments, policy: MakePolicy, used: tuple[Json, Json], requests: Requests
) -> None:
    policy("experiment_holdout.update")
    request = held_back(experiments.change_holdout(used[0], 20))
    experiments.delete_holdout(used[0])

    decided = requests.approved(request["id"])

    assert decided["change_request"]["apply_error"] == "Precondition failed: The holdout no longer exists."


def test_flag_writes_of_a_holdout_act__not_gated_a_second_time(
    experiments: Experiments, flags: Flags, policy: MakePolicy, used: tuple[Json, Json]
) -> None:
    """The holdout's own policy has conditions that are not met: the flags' policy is not asked in its place."""
    policy(
        "experiment_holdout.update",
        conditions={"type": "before_after", "field": "exclusion_percentage", "operator": ">", "value": 50},
    )
    policy("feature_flag.update")

    assert experiments.change_holdout(used[0], 20).status_code == 200
    assert share_of_flag() == 20
