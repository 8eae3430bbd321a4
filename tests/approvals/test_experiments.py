"""The gate in front of what experiments do to their flags."""

from typing import Any

import pytest

from activity.models import ActivityEntry
from approvals.models import ApprovalPolicy, ChangeRequest
from experiments.models import Experiment
from feature_flags.models import FeatureFlag
from projects.models import User
from tests.approvals.conftest import (
    Experiments,
    Flags,
    Json,
    MakePolicy,
    Requests,
    held_back,
    rollout,
    split,
    stored,
)

STARTED, ENDED = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
VARIANTS = split(70, 30)["multivariate"]["variants"]
FLAG_INPUT = {"filters": split(70, 30)}

Write = Any
# Acts that bring the experiment where the write starts, the key of the one policy, the write, whether it is held back.
WRITES: list[Any] = [
    ((), "experiment.launch", lambda e, x: e.act(x, "launch"), True),
    ((), "feature_flag.enable", lambda e, x: e.act(x, "launch"), True),
    ((), "experiment.launch", lambda e, x: e.patch(x, start_date=STARTED), True),
    ((), "experiment.launch", lambda e, x: e.patch(x, start_date=STARTED, end_date=ENDED), True),
    ((), "experiment.launch", lambda e, x: e.post(feature_flag_key="new", start_date=STARTED), True),
    ((), "feature_flag.enable", lambda e, x: e.post(feature_flag_key="new", start_date=STARTED), True),
    ((), "experiment.launch", lambda e, x: e.post(feature_flag_key="new"), False),
    ((), "experiment.launch", lambda e, x: e.post(feature_flag_key="new", end_date=ENDED), False),
    ((), "experiment.launch", lambda e, x: e.post(start_date=STARTED), False),
    ((), "experiment.launch", lambda e, x: e.patch(x, name="Other"), False),
    (("launch", "pause"), "experiment.launch", lambda e, x: e.act(x, "resume"), True),
    (("launch", "pause"), "feature_flag.enable", lambda e, x: e.act(x, "resume"), True),
    (("launch",), "experiment.pause", lambda e, x: e.act(x, "pause"), True),
    (("launch",), "feature_flag.disable", lambda e, x: e.act(x, "pause"), True),
    (("launch",), "experiment.launch", lambda e, x: e.act(x, "pause"), False),
    (("launch",), "experiment.update", lambda e, x: e.act(x, "ship_variant", variant_key="test"), True),
    (("launch",), "feature_flag.update", lambda e, x: e.act(x, "ship_variant", variant_key="test"), True),
    (
        ("launch",),
        "experiment.update",
        lambda e, x: e.act(x, "ship_variant", variant_key="test", release_to_everyone=False),
        True,
    ),
    (
        ("launch", "ship_variant"),
        "experiment.update",
        lambda e, x: e.act(x, "ship_variant", variant_key="control"),
        True,
    ),
    (("launch", "ship_variant"), "experiment.update", lambda e, x: e.act(x, "ship_variant", variant_key="test"), False),
    ((), "experiment.update", lambda e, x: e.patch(x, parameters={"feature_flag_variants": VARIANTS}), True),
    ((), "experiment.update", lambda e, x: e.patch(x, parameters={"rollout_percentage": 20}), True),
    ((), "experiment.update", lambda e, x: e.patch(x, feature_flag=FLAG_INPUT), True),
    ((), "feature_flag.update", lambda e, x: e.patch(x, feature_flag=FLAG_INPUT), True),
    ((), "experiment.update", lambda e, x: e.patch(x, parameters={"note": "kept"}), False),
    ((), "experiment.update", lambda e, x: e.patch(x, parameters=x["parameters"]), False),
    ((), "experiment.update", lambda e, x: e.patch(x, holdout_id=e.holdout(10)["id"]), True),
    ((), "experiment.update", lambda e, x: e.post(feature_flag_key="new"), False),
    ((), "feature_flag.update", lambda e, x: e.post(feature_flag_key="new"), False),
    ((), "feature_flag.update", lambda e, x: e.post(feature_flag_key="new", start_date=STARTED), False),
    ((), "feature_flag.update", lambda e, x: e.act(x, "duplicate", feature_flag_key="new"), False),
    ((), "feature_flag.enable", lambda e, x: e.act(x, "duplicate", feature_flag_key="new"), False),
    (("launch",), "experiment.update", lambda e, x: e.patch(x, parameters={"feature_flag_variants": VARIANTS}), False),
    (
        ("launch",),
        "experiment.update",
        lambda e, x: e.patch(x, update_feature_flag_params=True, parameters={"feature_flag_variants": VARIANTS}),
        True,
    ),
    (
        ("launch",),
        "experiment.update",
        lambda e, x: e.patch(x, feature_flag=FLAG_INPUT, update_feature_flag_params=True),
        True,
    ),
    (("launch",), "*", lambda e, x: e.act(x, "end"), False),
    (("launch",), "*", lambda e, x: e.act(x, "reset"), False),
    (("launch",), "*", lambda e, x: e.patch(x, end_date="2030-01-01T00:00:00Z"), False),
    (("launch", "end"), "*", lambda e, x: e.act(x, "archive"), False),
    (("launch", "end", "archive"), "*", lambda e, x: e.act(x, "unarchive"), False),
    (("launch",), "*", lambda e, x: e.patch(x, start_date=None), False),
    (("launch", "end"), "*", lambda e, x: e.patch(x, end_date=None), False),
    ((), "*", lambda e, x: e.patch(x, deleted=True), False),
    ((), "*", lambda e, x: e.patch(x, **e.read(x)), False),
    (("launch",), "*", lambda e, x: e.patch(x, **e.read(x)), False),
]
ALL_KEYS = ("experiment.launch", "experiment.pause", "experiment.update")


@pytest.mark.parametrize(("acts", "key", "write", "is_held_back"), WRITES)
def test_gate__trips_exactly_on_what_users_see(
    experiments: Experiments,
    policy: MakePolicy,
    acts: tuple[str, ...],
    key: str,
    write: Write,
    is_held_back: bool,
) -> None:
    experiment = experiments.done(experiments.made(), *acts)
    for wanted in ALL_KEYS if key == "*" else (key,):
        policy(wanted)

    answer = write(experiments, experiment)

    if is_held_back:
        assert held_back(answer)["action_key"] == key
    else:
        assert answer.status_code in (200, 201), answer.json()
        assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize(
    ("acts", "key", "write"), [(acts, key, write) for acts, key, write, is_held_back in WRITES if is_held_back]
)
def test_held_back__nothing_else_is_written(
    experiments: Experiments, policy: MakePolicy, acts: tuple[str, ...], key: str, write: Write
) -> None:
    experiment = experiments.done(experiments.made(), *acts)
    experiments.holdout = lambda percentage=10: made_before  # type: ignore[method-assign]  # not a part of the write
    made_before = Experiments.holdout(experiments)
    policy(key)
    before = stored(besides_requests=True)

    answer = write(experiments, experiment)

    assert answer.status_code == 409
    assert stored(besides_requests=True) == before
    assert experiments.read(experiment) == experiment


def test_flag_door__policies_about_experiments_count_for_a_flag_in_use(
    experiments: Experiments, flags: Flags, policy: MakePolicy
) -> None:
    experiment = experiments.made()
    flag = {"id": experiment["feature_flag"]["id"]}
    policy("experiment.launch")
    policy("experiment.update")

    assert held_back(flags.act(flag, "enable"))["action_key"] == "experiment.launch"
    assert held_back(flags.patch(flag, filters=rollout(50)))["action_key"] == "experiment.update"
    assert experiments.act(experiment, "launch").json()["code"] == "change_request_pending"


def test_flag_door__experiment_deleted__its_policies_count_no_more(
    experiments: Experiments, flags: Flags, policy: MakePolicy
) -> None:
    experiment = experiments.made()
    experiments.patch(experiment, deleted=True)
    policy("experiment.launch")

    assert flags.act({"id": experiment["feature_flag"]["id"]}, "enable").status_code == 200


def test_untimely_or_invalid__refused_and_no_request(experiments: Experiments, policy: MakePolicy) -> None:
    draft = experiments.made()
    running = experiments.done(experiments.made(feature_flag_key="other"), "launch")
    for key in (*ALL_KEYS, "feature_flag.enable"):
        policy(key)

    answers = [
        experiments.act(running, "launch"),
        experiments.act(draft, "pause"),
        experiments.act(running, "ship_variant", variant_key="nobody"),
        experiments.act(running, "ship_variant"),
        experiments.patch(draft, parameters={"feature_flag_variants": split(70, 40)["multivariate"]["variants"]}),
        experiments.post(feature_flag_key="new", start_date=STARTED, excluded_variants=["nobody"]),
        experiments.post(feature_flag_key="bad key", start_date=STARTED),
    ]

    assert [answer.status_code for answer in answers] == [400] * 7
    assert not ChangeRequest.objects.exists()


def test_if_match__comes_before_the_gate(experiments: Experiments, policy: MakePolicy) -> None:
    experiment = experiments.made()
    policy("experiment.launch")

    answer = experiments.client.post(experiments.url(experiment, "launch"), {}, headers={"If-Match": '"old"'})

    assert answer.status_code == 412
    assert not ChangeRequest.objects.exists()


def test_launch_with_variants__two_families__policy_conflict(experiments: Experiments, policy: MakePolicy) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    policy("feature_flag.update")
    before = stored()

    answer = experiments.patch(experiment, start_date=STARTED, parameters={"feature_flag_variants": VARIANTS})

    assert answer.status_code == 400
    assert answer.json()["code"] == "policy_conflict"
    assert [found["action_key"] for found in answer.json()["conflicting_policies"]] == [
        "experiment.launch",
        "feature_flag.update",
    ]
    assert stored() == before


# --- What the request says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acts", "act", "body", "description", "sent"),
    [
        ((), "launch", {}, "Launch the experiment on feature flag 'blue-button'", {}),
        (("launch", "pause"), "resume", {}, "Resume the experiment on feature flag 'blue-button'", {}),
        (("launch",), "pause", {"ignored": 1}, "Pause the experiment on feature flag 'blue-button'", {}),
        (
            ("launch",),
            "ship_variant",
            {"variant_key": "test", "conclusion": "won"},
            "Ship variant 'test' of the experiment on feature flag 'blue-button'",
            {"variant_key": "test", "conclusion": "won", "release_to_everyone": True},
        ),
    ],
)
def test_request_of_an_act(
    experiments: Experiments,
    policy: MakePolicy,
    acts: tuple[str, ...],
    act: str,
    body: Json,
    description: str,
    sent: Json,
) -> None:
    experiment = experiments.done(experiments.made(), *acts)
    flag = FeatureFlag.objects.get()
    for key in ALL_KEYS:
        policy(key)

    request = held_back(experiments.act(experiment, act, **body))

    intent = request["intent"]
    assert request["resource_type"] == "feature_flag"
    assert request["resource_id"] == str(flag.pk)
    assert request["intent_display"]["description"] == description
    assert (intent["act"], intent["http_method"]) == (act, "POST")
    assert (intent["flag_id"], intent["flag_key"]) == (flag.pk, "blue-button")
    assert (intent["experiment_id"], intent["experiment_name"]) == (experiment["id"], "Blue button")
    assert intent["full_request_data"] == sent
    assert intent["preconditions"]["version"] == flag.version
    assert set(intent["preconditions"]) == {"version", "updated_at"}


def test_request_of_a_change__what_was_sent_and_what_it_was_made_on(
    experiments: Experiments, policy: MakePolicy
) -> None:
    experiment = experiments.made()
    policy("experiment.update")

    intent = held_back(
        experiments.patch(
            experiment,
            name="  Renamed  ",
            parameters={"feature_flag_variants": VARIANTS, "minimum_detectable_effect": 5, "note": [1]},
        )
    )["intent"]

    assert (intent["act"], intent["http_method"]) == ("update", "PATCH")
    assert intent["full_request_data"] == {
        "name": "Renamed",
        "parameters": {"feature_flag_variants": VARIANTS, "minimum_detectable_effect": 5, "note": [1]},
    }
    assert intent["preconditions"] == {
        "version": 1,
        "updated_at": FeatureFlag.objects.get().updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "experiment_updated_at": experiment["updated_at"],
    }
    assert intent["gated_changes"] == {
        "rollout_percentage": [
            {"path": "multivariate.variants[0].rollout_percentage", "value": 70},
            {"path": "multivariate.variants[1].rollout_percentage", "value": 30},
        ]
    }


def test_request_of_a_creation(experiments: Experiments, policy: MakePolicy) -> None:
    policy("experiment.launch")

    request = held_back(experiments.post(start_date=STARTED, holdout_id=None))

    intent = request["intent"]
    assert request["resource_id"] is None
    assert request["intent_display"]["before"] is None
    assert (intent["act"], intent["http_method"], intent["flag_id"]) == ("create", "POST", None)
    assert (intent["experiment_id"], intent["experiment_name"]) == (None, "Blue button")
    assert intent["gated_changes"] == {"active": True}
    assert intent["full_request_data"] == {
        "name": "Blue button",
        "feature_flag_key": "blue-button",
        "start_date": STARTED,
        "holdout_id": None,
    }
    assert experiments.post(start_date=STARTED).json()["code"] == "change_request_pending"


# --- What an approval does -------------------------------------------------------------------------------------------


def test_approved_launch__launches(
    experiments: Experiments, policy: MakePolicy, requests: Requests, member: User, approver: User
) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    request = held_back(experiments.act(experiment, "launch"))

    decided = requests.approved(request["id"])

    shown = experiments.read(experiment)
    assert decided["status"] == "applied", decided
    assert decided["result"] == {"resource_id": request["resource_id"], "resource_version": 2}
    assert shown["status"] == "running"
    assert shown["start_date"] is not None
    assert shown["feature_flag"]["active"] is True
    rows = ActivityEntry.objects.filter(scope__in=["Experiment", "FeatureFlag"], activity="updated")
    assert [(row.scope, row.user) for row in rows.order_by("scope")] == [
        ("Experiment", member),
        ("FeatureFlag", member),
    ]
    assert {str(row.detail["trigger"]) for row in rows} == {
        str(
            {
                "job_type": "change_request",
                "job_id": request["id"],
                "payload": {"action": "launch", "approved_by": [approver.pk]},
            }
        )
    }


def test_approved_ship__ships_and_ends(experiments: Experiments, policy: MakePolicy, requests: Requests) -> None:
    experiment = experiments.done(experiments.made(), "launch")
    policy("experiment.update")
    request = held_back(
        experiments.act(experiment, "ship_variant", variant_key="test", conclusion="won", conclusion_comment="Yes")
    )

    requests.approved(request["id"])

    shown = experiments.read(experiment)
    variants = shown["feature_flag"]["filters"]["multivariate"]["variants"]
    assert [variant["rollout_percentage"] for variant in variants] == [0, 100]
    assert shown["status"] == "stopped"
    assert (shown["conclusion"], shown["conclusion_comment"]) == ("won", "Yes")


@pytest.mark.parametrize(
    ("acts", "act", "status"), [(("launch",), "pause", "paused"), (("launch", "pause"), "resume", "running")]
)
def test_approved_pause_and_resume(
    experiments: Experiments, policy: MakePolicy, requests: Requests, acts: tuple[str, ...], act: str, status: str
) -> None:
    experiment = experiments.done(experiments.made(), *acts)
    policy("experiment.launch")
    policy("experiment.pause")
    request = held_back(experiments.act(experiment, act))

    requests.approved(request["id"])

    assert experiments.read(experiment)["status"] == status


def test_approved_change__writes_every_field(experiments: Experiments, policy: MakePolicy, requests: Requests) -> None:
    metric = {
        "kind": "ExperimentMetric",
        "metric_type": "mean",
        "uuid": "metric-1",
        "source": {"kind": "EventsNode", "event": "purchase"},
    }
    holdout = experiments.holdout(5)
    experiment = experiments.made()
    policy("experiment.update")
    sent: Json = {
        "name": "Renamed",
        "description": "Why",
        "end_date": "2030-01-01T00:00:00Z",
        "holdout_id": holdout["id"],
        "running_time_calculation": {"minimum_detectable_effect": 7},
        "secondary_metrics": [],
        "filters": {"any": 1},
        "exposure_criteria": {"filterTestAccounts": False},
        "metrics": [metric],
        "metrics_secondary": [],
        "stats_config": {"method": "frequentist"},
        "scheduling_config": {"timeseries": True},
        "conclusion": None,
        "conclusion_comment": "Maybe",
        "only_count_matured_users": True,
        "exposure_preaggregation_enabled": True,
    }
    flag_input = {
        "filters": {
            **split(70, 30),
            "groups": [{"properties": [], "rollout_percentage": 40}],
            "payloads": {"test": "1"},
        },
        "ensure_experience_continuity": True,
    }
    request = held_back(
        experiments.patch(
            experiment, **sent, feature_flag=flag_input, excluded_variants=[], saved_metrics_ids=[], type="product"
        )
    )

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    shown = experiments.read(experiment)
    shown["metrics"] = [
        {name: part for name, part in metric.items() if name != "fingerprint"} for metric in shown["metrics"]
    ]
    assert {name: shown[name] for name in sent} == sent
    flag = shown["feature_flag"]
    assert [variant["rollout_percentage"] for variant in flag["filters"]["multivariate"]["variants"]] == [70, 30]
    assert flag["filters"]["groups"][0]["rollout_percentage"] == 40
    assert flag["filters"]["payloads"] == {"test": "1"}
    assert flag["filters"]["holdout"] == {"id": holdout["id"], "exclusion_percentage": 5}
    assert flag["ensure_experience_continuity"] is True


def test_approved_launching_change__starts_when_it_said(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    request = held_back(experiments.patch(experiment, start_date=STARTED, name="Renamed"))

    requests.approved(request["id"])

    shown = experiments.read(experiment)
    assert (shown["start_date"], shown["status"], shown["name"]) == (STARTED, "running", "Renamed")


def test_approved_creation__creates_it_launched(
    experiments: Experiments, policy: MakePolicy, requests: Requests, member: User
) -> None:
    policy("experiment.launch")
    sent = {"start_date": STARTED, "parameters": {"feature_flag_variants": VARIANTS, "rollout_percentage": 25}}
    request = held_back(experiments.post(**sent))
    assert not Experiment.objects.exists()

    decided = requests.approved(request["id"])

    made = Experiment.objects.get()
    shown = experiments.read({"id": made.pk})
    assert decided["result"] == {"resource_id": str(made.feature_flag_id), "resource_version": 1}
    assert (shown["status"], shown["start_date"]) == ("running", STARTED)
    assert shown["created_by"]["id"] == member.pk
    assert shown["feature_flag"]["filters"]["groups"][0]["rollout_percentage"] == 25


# --- When it cannot be applied as it was approved ---------------------------------------------------------------------


def why(decided: Json) -> str:
    assert decided["status"] == "failed", decided
    text: str = decided["change_request"]["apply_error"]
    return text


def test_flag_edited_meanwhile__launch_fails_and_launches_nothing(
    experiments: Experiments, flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    request = held_back(experiments.act(experiment, "launch"))
    flags.patch({"id": experiment["feature_flag"]["id"]}, filters=rollout(1, **split(90, 10)))
    before = stored(besides_requests=True)

    decided = requests.approved(request["id"])

    assert why(decided) == "Precondition failed: The feature flag was changed since this change was requested."
    assert stored(besides_requests=True) == before


def test_experiment_edited_meanwhile__a_change_of_fields_fails(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.made()
    policy("experiment.update")
    request = held_back(experiments.patch(experiment, feature_flag=FLAG_INPUT))
    assert experiments.patch(experiment, name="Renamed").status_code == 200

    assert requests.read(request["id"])["validation_status"] == "stale"
    decided = requests.approved(request["id"])

    assert why(decided) == "Precondition failed: The experiment was changed since this change was requested."
    assert experiments.read(experiment)["name"] == "Renamed"


def test_share_of_the_wanted_holdout_moved__fails(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    """Ten percent were approved, not the twenty that it is by now."""
    experiment, holdout = experiments.made(), experiments.holdout(10)
    policy("experiment.update")
    request = held_back(experiments.patch(experiment, holdout_id=holdout["id"]))
    assert experiments.change_holdout(holdout, 20).status_code == 200

    assert requests.read(request["id"])["validation_status"] == "stale"
    decided = requests.approved(request["id"])

    assert why(decided) == "Precondition failed: The exclusion percentage was changed since this change was requested."
    assert experiments.read(experiment)["holdout"] is None


def test_shipped_meanwhile_with_another_conclusion__fails_and_keeps_it(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.done(experiments.made(), "launch", "ship_variant")
    policy("experiment.update")
    request = held_back(experiments.act(experiment, "ship_variant", variant_key="control", conclusion="won"))
    ApprovalPolicy.objects.update(enabled=False)
    experiments.act(experiment, "ship_variant", variant_key="control", conclusion="lost")

    decided = requests.approved(request["id"])

    assert why(decided) == "Precondition failed: The feature flag was changed since this change was requested."
    assert experiments.read(experiment)["conclusion"] == "lost"


def test_experiment_edited_meanwhile__an_act_still_applies(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    request = held_back(experiments.act(experiment, "launch"))
    experiments.patch(experiment, name="Renamed")

    assert requests.approved(request["id"])["status"] == "applied"
    assert experiments.read(experiment)["name"] == "Renamed"


def test_experiment_deleted_meanwhile__fails(experiments: Experiments, policy: MakePolicy, requests: Requests) -> None:
    experiment = experiments.made()
    policy("experiment.launch")
    request = held_back(experiments.act(experiment, "launch"))
    experiments.patch(experiment, deleted=True)

    assert why(requests.approved(request["id"])) == "Precondition failed: It no longer exists."
    assert not FeatureFlag.objects.get().active


def test_experiment_ended_meanwhile__a_rule_refuses(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.done(experiments.made(), "launch")
    policy("experiment.pause")
    request = held_back(experiments.act(experiment, "pause"))
    experiments.done(experiment, "end")

    decided = requests.approved(request["id"])

    assert why(decided) == "Validation failed: Experiment has already ended."
    assert decided["change_request"]["validation_status"] == "invalid"
    assert FeatureFlag.objects.get().active


@pytest.mark.parametrize(
    ("acts", "act", "body"),
    [
        ((), "launch", {}),
        (("launch",), "pause", {}),
        (("launch", "pause"), "resume", {}),
        (("launch",), "ship_variant", {"variant_key": "test"}),
    ],
)
def test_done_meanwhile_by_other_means__applied_without_doing_it_again(
    experiments: Experiments, policy: MakePolicy, requests: Requests, acts: tuple[str, ...], act: str, body: Json
) -> None:
    experiment = experiments.done(experiments.made(), *acts)
    for key in ALL_KEYS:
        policy(key)
    request = held_back(experiments.act(experiment, act, **body))
    ApprovalPolicy.objects.update(enabled=False)
    experiments.done(experiment, act)
    before = stored(besides_requests=True)

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    assert stored(besides_requests=True) == before


def test_change_made_meanwhile_by_other_means__applied_without_doing_it_again(
    experiments: Experiments, policy: MakePolicy, requests: Requests
) -> None:
    experiment = experiments.made()
    policy("experiment.update")
    request = held_back(experiments.patch(experiment, feature_flag=FLAG_INPUT, name="Renamed"))
    ApprovalPolicy.objects.update(enabled=False)
    assert experiments.patch(experiment, feature_flag=FLAG_INPUT, name="Renamed").status_code == 200
    before = stored(besides_requests=True)

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    assert stored(besides_requests=True) == before


def test_creation_whose_key_exists_by_now__links_that_flag_as_sent_now(
    experiments: Experiments, flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    policy("experiment.launch")
    request = held_back(experiments.post(start_date=STARTED))
    flag = flags.made(key="blue-button", filters=rollout(100, **split(50, 50)))

    decided = requests.approved(request["id"])

    assert decided["status"] == "applied", decided
    assert decided["result"]["resource_id"] == str(flag["id"])
    assert flags.read(flag)["version"] == 1
    assert Experiment.objects.get().feature_flag_id == flag["id"]


def test_encrypted_payload_of_the_flag__hidden_and_applied(
    experiments: Experiments, flags: Flags, policy: MakePolicy, requests: Requests
) -> None:
    """Only a variant called `true` can have an encrypted payload; its secret must not be read in a request."""
    experiment = experiments.made(
        parameters={
            "feature_flag_variants": [
                {"key": "control", "rollout_percentage": 50},
                {"key": "true", "rollout_percentage": 50},
            ],
            "feature_flag_payloads": {"true": '"old"'},
        }
    )
    flag = {"id": experiment["feature_flag"]["id"]}
    switched = flags.patch(
        flag,
        is_remote_configuration=True,
        has_encrypted_payloads=True,
        filters={"payloads": {"true": '"old"'}},
    )
    assert switched.status_code == 200, switched.json()
    policy("experiment.update")
    change = {"groups": [{"rollout_percentage": 40}], "payloads": {"true": '"fresh-secret"'}}

    answer = experiments.patch(experiment, feature_flag={"filters": change})

    request = held_back(answer)
    assert "fresh-secret" not in answer.content.decode()
    assert "fresh-secret" not in str(ChangeRequest.objects.values("intent", "payload").get())
    decided = requests.approved(request["id"])
    assert decided["status"] == "applied", decided
    assert flags.read(flag)["filters"]["payloads"] == {"true": '"fresh-secret"'}
