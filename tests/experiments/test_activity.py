"""What creating and changing an experiment leaves in the activity log."""

from collections.abc import Callable
from typing import Any

import pytest

from activity.models import ActivityEntry
from experiments.models import ExperimentHoldout
from projects.models import Project, User
from tests.experiments.conftest import ENDED, STARTED, Experiments, activity_of, variants
from tests.experiments.documents import mean


def changes_of(entry: ActivityEntry) -> dict[str, tuple[str, Any, Any]]:
    assert all(change["type"] == "Experiment" for change in entry.detail["changes"])
    return {
        change["field"]: (change["action"], change["before"], change["after"]) for change in entry.detail["changes"]
    }


def last(shown: dict[str, Any]) -> ActivityEntry:
    return activity_of(shown)[-1]


def test_create__is_told_with_what_was_set(experiments: Experiments, project: Project, member: User) -> None:
    made = experiments.made(description="Why", metrics=[mean(uuid="m")], start_date=STARTED)
    entry = last(made)

    assert (entry.activity, entry.user, entry.is_system) == ("created", member, False)
    assert (entry.project, entry.organization, entry.item_id) == (project, project.organization, str(made["id"]))
    assert {name: entry.detail[name] for name in ("name", "short_id", "type", "trigger", "context")} == {
        "name": "Blue button",
        "short_id": None,
        "type": None,
        "trigger": None,
        "context": None,
    }
    changes = changes_of(entry)
    assert changes["name"] == ("created", None, "Blue button")
    assert changes["start_date"] == ("created", None, STARTED)
    assert {action for action, _, _ in changes.values()} == {"created"}
    assert not {"end_date", "id", "created_at", "updated_at", "created_by", "feature_flag", "holdout"} & changes.keys()


@pytest.mark.parametrize(
    ("field", "value", "action"),
    [
        ("name", "Green", "changed"),
        ("description", None, "deleted"),
        ("scheduling_config", {"timeseries": True}, "created"),
        ("filters", {"own": 1}, "changed"),
        ("conclusion", "won", "created"),
        ("exposure_criteria", None, "deleted"),
        ("stats_config", {"method": "frequentist"}, "changed"),
        ("only_count_matured_users", True, "changed"),
        ("running_time_calculation", {"recommended_sample_size": 5}, "changed"),
        ("secondary_metrics", [{"a": 1}], "changed"),
        ("end_date", ENDED, "created"),
    ],
)
def test_update__one_field__is_told_as_one_change(
    experiments: Experiments, field: str, value: Any, action: str
) -> None:
    made = experiments.made()
    experiments.changed(made["id"], **{field: value})

    assert changes_of(last(made)) == {field: (action, made[field], value)}
    assert len(activity_of(made)) == 2


def test_update__holdout__is_told_by_its_id_and_in_the_flag(
    experiments: Experiments, holdout: Callable[..., ExperimentHoldout]
) -> None:
    made, kept_out = experiments.made(), holdout()
    experiments.changed(made["id"], holdout_id=kept_out.pk)

    assert changes_of(last(made)) == {"holdout_id": ("created", None, kept_out.pk)}
    assert [entry.activity for entry in activity_of(made, scope="FeatureFlag")] == ["created", "updated"]


def test_update__metrics__are_told_without_fingerprints(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(uuid="m")])
    experiments.changed(made["id"], metrics=[mean(uuid="m", goal="decrease")])

    assert changes_of(last(made)) == {
        "metrics": ("changed", [mean(uuid="m")], [mean(uuid="m", goal="decrease")]),
    }


def test_update__that_only_moves_fingerprints__tells_of_its_cause_alone(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean()])
    experiments.changed(made["id"], only_count_matured_users=True)

    assert list(changes_of(last(made))) == ["only_count_matured_users"]


def test_update__order_adjusted_by_the_server__is_not_told_but_an_explicit_one_is(experiments: Experiments) -> None:
    made = experiments.made(metrics=[mean(uuid="a")])
    experiments.changed(made["id"], metrics=[mean(uuid="a"), mean(uuid="b")])
    assert list(changes_of(last(made))) == ["metrics"]

    experiments.changed(made["id"], primary_metrics_ordered_uuids=["b", "a"])
    assert changes_of(last(made)) == {"primary_metrics_ordered_uuids": ("changed", ["a", "b"], ["b", "a"])}


def test_update__parameters__are_told_unless_the_experiment_is_a_web_one(experiments: Experiments) -> None:
    product = experiments.made()
    experiments.changed(product["id"], parameters={"own": 1})
    assert list(changes_of(last(product))) == ["parameters"]

    web = experiments.made(type="web", feature_flag_key="web")
    experiments.changed(web["id"], parameters={"own": 1})
    assert [entry.activity for entry in activity_of(web)] == ["created"]
    experiments.changed(web["id"], parameters={"own": 2}, name="Green")
    assert list(changes_of(last(web))) == ["name"]


def test_update__variants_of_a_draft__tell_of_experiment_and_flag(experiments: Experiments) -> None:
    made = experiments.made()
    experiments.changed(made["id"], parameters={"feature_flag_variants": variants(20, 80)})
    flag_entry = activity_of(made, scope="FeatureFlag")[-1]

    assert list(changes_of(last(made))) == ["parameters"]
    assert [change["field"] for change in flag_entry.detail["changes"]] == ["filters", "version"]
    assert flag_entry.detail["trigger"] is None


@pytest.mark.parametrize(
    ("body", "activity", "act"),
    [
        ({"start_date": STARTED}, "updated", "launch"),
        ({"deleted": True}, "deleted", None),
    ],
)
def test_update__activity__names_what_happened(
    experiments: Experiments, body: dict[str, Any], activity: str, act: str | None
) -> None:
    made = experiments.made()
    experiments.changed(made["id"], **body)
    entry = last(made)

    assert entry.activity == activity
    trigger = act and {"job_type": "experiment_action", "job_id": None, "payload": {"action": act}}
    assert entry.detail["trigger"] == trigger


def test_reset__by_patch__is_told_as_such(experiments: Experiments) -> None:
    made = experiments.running()
    experiments.changed(made["id"], start_date=None)

    assert last(made).activity == "reset"
    assert changes_of(last(made))["start_date"] == ("deleted", STARTED, None)


def test_restore__is_told_as_such(experiments: Experiments) -> None:
    made = experiments.made(deleted=True)
    experiments.changed(made["id"], deleted=False)

    assert last(made).activity == "restored"
    assert changes_of(last(made)) == {"deleted": ("changed", True, False)}


def test_other_caller__is_the_one_who_is_named(
    experiments: Experiments, project: Project, owner: User, client_for: Callable[..., Any]
) -> None:
    made = experiments.made()
    Experiments(client_for(owner), project).changed(made["id"], parameters={"rollout_percentage": 5})

    assert last(made).user == owner
    assert activity_of(made, scope="FeatureFlag")[-1].user == owner


def test_values__keep_their_form(experiments: Experiments) -> None:
    made = experiments.made(filters={"a": 1})
    experiments.changed(made["id"], filters={"a": 1.0})
    _, before, after = changes_of(last(made))["filters"]

    assert (type(before["a"]), type(after["a"])) == (int, float)
