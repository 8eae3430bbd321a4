"""What several values in one PATCH come to."""

from typing import Any

import pytest

from tests.cast import error
from tests.experiments.lifecycle.conftest import Clock, Experiments, Shown
from tests.experiments.lifecycle.expected import STATES
from tests.experiments.lifecycle.test_matrix import state_of

START, END = "2026-01-05T00:00:00Z", "2026-02-01T00:00:00Z"
NOT_ENDED = "Experiment must be ended before it can be archived."
DATE_ORDER = "End date must be after start date"

# From which state, what is sent, the state it leads to, and the values it must have then.
COMBINED: list[tuple[str, Shown, str, Shown]] = [
    ("running", {"end_date": END, "archived": True}, "archived", {"end_date": END, "archived": True}),
    ("paused", {"end_date": END, "archived": True}, "archived", {"end_date": END, "archived": True}),
    ("running", {"end_date": END, "conclusion": "lost"}, "stopped", {"end_date": END, "conclusion": "lost"}),
    ("running", {"start_date": START, "end_date": END}, "stopped", {"start_date": START, "end_date": END}),
    ("draft", {"start_date": START, "end_date": END}, "stopped", {"start_date": START, "end_date": END}),
    ("draft", {"start_date": START, "end_date": END, "archived": True}, "archived", {"end_date": END}),
    ("draft", {"start_date": START, "end_date": None}, "running", {"start_date": START, "end_date": None}),
    ("draft", {"start_date": None, "end_date": None, "archived": False}, "draft", {"archived": False}),
    ("stopped", {"start_date": START, "end_date": END}, "stopped", {"start_date": START, "end_date": END}),
    ("stopped", {"start_date": START, "end_date": None}, "running", {"start_date": START, "conclusion": "won"}),
    ("stopped", {"start_date": None, "conclusion": "lost"}, "draft", {"conclusion": "lost", "end_date": None}),
    ("stopped", {"start_date": None, "conclusion_comment": "B."}, "draft", {"conclusion_comment": "B."}),
    ("stopped", {"start_date": None, "end_date": END}, "draft", {"start_date": None, "end_date": END}),
    # The end date it has already: what is in the body wins over the reset that would clear it.
    (
        "stopped",
        {"start_date": None, "end_date": "2026-01-20T00:00:00Z"},
        "draft",
        {"end_date": "2026-01-20T00:00:00Z", "conclusion": None},
    ),
    ("archived", {"start_date": None, "archived": False}, "draft", {"archived": False}),
    ("archived", {"end_date": None, "archived": False}, "running", {"archived": False, "conclusion": "won"}),
    ("archived", {"end_date": None, "conclusion": None}, "running", {"conclusion": None}),
    ("archived", {"archived": False, "name": "Other"}, "stopped", {"name": "Other"}),
    ("archived", {"end_date": END}, "archived", {"end_date": END, "archived": True}),
]


@pytest.mark.parametrize(("state", "body", "to", "values"), COMBINED)
def test_patch__several_values__apply_in_their_order(
    experiments: Experiments, clock: Clock, state: str, body: Shown, to: str, values: Shown
) -> None:
    experiment = experiments.bring_to(state, clock)
    clock.set("2026-03-01T00:00:00+00:00")
    after = experiments.patched(experiment, **body)
    assert state_of(after) == to
    assert {name: after[name] for name in values} == values


REFUSED: list[tuple[str, Shown, str]] = [
    ("draft", {"name": "Other", "archived": True}, NOT_ENDED),
    ("draft", {"start_date": START, "archived": True}, NOT_ENDED),
    ("draft", {"end_date": END, "archived": True}, NOT_ENDED),
    ("running", {"end_date": None, "archived": True}, NOT_ENDED),
    ("stopped", {"start_date": None, "archived": True}, NOT_ENDED),
    ("archived", {"start_date": None, "archived": True}, NOT_ENDED),
    ("stopped", {"end_date": None, "archived": True}, NOT_ENDED),
    ("archived", {"end_date": None, "archived": True}, NOT_ENDED),
    ("draft", {"start_date": END, "end_date": START}, DATE_ORDER),
    ("draft", {"start_date": END, "end_date": END}, DATE_ORDER),
    ("running", {"end_date": "2026-01-10T00:00:00Z"}, DATE_ORDER),
    ("running", {"end_date": START}, DATE_ORDER),
    ("paused", {"start_date": END, "end_date": START}, DATE_ORDER),
    ("stopped", {"start_date": "2026-01-20T00:00:00Z"}, DATE_ORDER),
    ("stopped", {"start_date": END}, DATE_ORDER),
    ("archived", {"end_date": START}, DATE_ORDER),
]


@pytest.mark.parametrize(("state", "body", "detail"), REFUSED)
def test_patch__one_of_several_values_is_refused__none_is_applied(
    experiments: Experiments, clock: Clock, state: str, body: Shown, detail: str
) -> None:
    experiment = experiments.bring_to(state, clock)
    before, log = experiments.get(experiment).content, experiments.log()
    answer = experiments.patch(experiment, body)
    assert (answer.status_code, answer.json()) == (400, error("invalid_input", detail))
    assert (experiments.get(experiment).content, experiments.log()) == (before, log)


@pytest.mark.parametrize("state", STATES)
def test_patch__what_was_read__changes_nothing(experiments: Experiments, clock: Clock, state: str) -> None:
    experiment = experiments.bring_to(
        state, clock, metrics=[{"kind": "ExperimentMetric", "metric_type": "mean", "source": {"event": "paid"}}]
    )
    before, flag, log = experiments.get(experiment).content, experiments.flag(experiment), experiments.log()
    clock.set("2026-03-01T00:00:00+00:00")
    answer = experiments.patch(experiment, experiment)
    assert (answer.status_code, answer.content) == (200, before)
    assert (experiments.flag(experiment), experiments.log()) == (flag, log)


def test_patch__both_dates_on_a_draft__switch_its_flag_on_in_one_step(experiments: Experiments) -> None:
    experiment = experiments.made()
    logged = len(experiments.log())
    after = experiments.patched(experiment, start_date=START, end_date=END)
    assert (after["feature_flag"]["active"], after["feature_flag"]["version"]) == (True, 2)
    assert [(row["scope"], row["trigger"]["payload"]) for row in experiments.log()[logged:]] == [
        ("FeatureFlag", {"action": "launch"}),
        ("Experiment", {"action": "launch"}),
    ]


def test_patch__start_on_a_draft_with_a_stored_end__leaves_it_stopped(experiments: Experiments) -> None:
    experiment = experiments.made(end_date=END)
    assert experiment["status"] == "draft"
    after = experiments.patched(experiment, start_date=START)
    assert (after["status"], after["end_date"]) == ("stopped", END)


def test_launch__stored_end_in_the_future__leaves_it_stopped_until_it_is_reopened(experiments: Experiments) -> None:
    experiment = experiments.made(end_date="2199-01-01")
    assert experiments.acted(experiment, "launch")["status"] == "stopped"
    assert experiments.patched(experiment, end_date=None)["status"] == "running"


def test_patch__reopen_with_the_flag_off__leaves_it_paused(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.bring_to("stopped", clock)
    experiments.patched_flag(experiment, active=False)
    assert experiments.patched(experiment, end_date=None)["status"] == "paused"


def test_patch__reset_of_a_running_experiment__leaves_the_flag_on_and_launch_needs_no_flag_write(
    experiments: Experiments, clock: Clock
) -> None:
    experiment = experiments.bring_to("running", clock)
    after = experiments.patched(experiment, start_date=None)
    assert (after["status"], after["feature_flag"]) == ("draft", experiment["feature_flag"])
    assert experiments.acted(experiment, "launch")["feature_flag"] == experiment["feature_flag"]


def test_patch__restoring__may_launch_in_the_same_body(experiments: Experiments) -> None:
    experiment = experiments.made()
    experiments.patched(experiment, deleted=True)
    after = experiments.patched(experiment, deleted="false", start_date=START)
    assert (after["deleted"], after["status"]) == (False, "running")
    assert experiments.log()[-1]["activity"] == "restored"


@pytest.mark.parametrize("body", [{}, {"deleted": True}, {"name": "Other"}, {"deleted": "maybe"}])
def test_patch__deleted_experiment__is_found_by_restoring_alone(experiments: Experiments, body: Shown) -> None:
    experiment = experiments.made()
    experiments.patched(experiment, deleted=True)
    assert experiments.patch(experiment, body).status_code == 404


@pytest.mark.parametrize("deleted", [False, "false", 0, "0"])
def test_patch__restoring__takes_every_form_of_false(experiments: Experiments, deleted: Any) -> None:
    experiment = experiments.made()
    experiments.patched(experiment, deleted=True)
    restored = experiments.patched(experiment, deleted=deleted)
    assert restored | {"updated_at": None} == experiment | {"updated_at": None}


@pytest.mark.parametrize("act", ["launch", "pause", "resume", "end", "ship_variant", "archive", "unarchive", "reset"])
def test_acts__deleted_experiment__is_not_found(experiments: Experiments, act: str) -> None:
    experiment = experiments.made()
    experiments.patched(experiment, deleted=True)
    answer = experiments.act(experiment, act)
    assert (answer.status_code, answer.json()) == (404, error("not_found", "Not found.", type="invalid_request"))


def test_patch__launch_and_moved_start__give_the_metrics_new_fingerprints(experiments: Experiments) -> None:
    metric = {"kind": "ExperimentMetric", "metric_type": "mean", "source": {"event": "paid"}}
    experiment = experiments.made(metrics=[metric])
    prints = {experiment["metrics"][0]["fingerprint"]}
    prints.add(experiments.acted(experiment, "launch")["metrics"][0]["fingerprint"])
    prints.add(experiments.patched(experiment, start_date=START)["metrics"][0]["fingerprint"])
    assert len(prints) == 3
    assert experiments.acted(experiment, "reset")["metrics"] == experiment["metrics"]


def test_patch__launch_and_fewer_variants_in_one_body__is_possible(experiments: Experiments) -> None:
    listed = [{"key": key, "rollout_percentage": share} for key, share in (("control", 50), ("a", 25), ("b", 25))]
    experiment = experiments.made(parameters={"feature_flag_variants": listed})
    fewer = [listed[0], {"key": "a", "rollout_percentage": 50}]
    after = experiments.patched(experiment, start_date=START, parameters={"feature_flag_variants": fewer})
    assert (after["status"], after["feature_flag"]["filters"]["multivariate"]["variants"]) == ("running", fewer)
    assert after["feature_flag"]["version"] == 2
