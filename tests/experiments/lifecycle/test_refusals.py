"""Which of several refusals is given, and that a refusal of the flag's undoes the act."""

from typing import Any

import pytest

from tests.cast import error
from tests.experiments.lifecycle.conftest import Clock, Experiments, Shown

CONTROL = {"key": "control", "rollout_percentage": 50}
OTHERS = [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]

LAUNCH_REFUSALS = (
    "Experiment cannot be launched because its feature flag has been deleted.",
    "Feature flag must have at least 2 variants (control and at least one test variant)",
    "Feature flag must have a variant with key 'control'",
    "End date must be after start date",
)


def refused(answer: Any, detail: str, attr: str | None = None, code: str = "invalid_input") -> None:
    assert (answer.status_code, answer.json()) == (400, error(code, detail, attr))


def variants(*listed: Shown) -> Shown:
    return {"multivariate": {"variants": list(listed)}}


def draft_with_every_fault(experiments: Experiments, clock: Clock) -> Shown:
    """Its flag is deleted and has one variant; its end date has passed."""
    experiment = experiments.bring_to("stopped", clock)
    experiments.patched_flag(experiment, filters=variants(CONTROL | {"rollout_percentage": 100}))
    experiments.patched_flag(experiment, deleted=True)
    experiments.acted(experiment, "reset")
    clock.set("2026-03-01T00:00:00+00:00")
    return experiments.patched(experiment, end_date="2026-02-01")


def mend(experiments: Experiments, experiment: Shown, faults: int) -> None:
    """Put the first `faults` faults right."""
    if faults >= 1:
        experiments.patched_flag(experiment, deleted=False)
    if faults >= 2:
        experiments.patched_flag(experiment, filters=variants(*OTHERS))
    if faults >= 3:
        experiments.patched_flag(experiment, filters=variants(CONTROL, OTHERS[0]))


@pytest.mark.parametrize("mended", range(4))
def test_launch__several_faults__names_the_first(experiments: Experiments, clock: Clock, mended: int) -> None:
    experiment = draft_with_every_fault(experiments, clock)
    mend(experiments, experiment, mended)
    refused(experiments.act(experiment, "launch"), LAUNCH_REFUSALS[mended])
    assert experiments.shown(experiment)["start_date"] is None


@pytest.mark.parametrize("mended", range(3))
def test_launch_by_patch__several_faults__names_the_first(experiments: Experiments, clock: Clock, mended: int) -> None:
    experiment = draft_with_every_fault(experiments, clock)
    mend(experiments, experiment, mended)
    body = {"start_date": "2026-03-01", "end_date": None}
    refused(experiments.patch(experiment, body), LAUNCH_REFUSALS[mended])
    assert experiments.shown(experiment)["end_date"] == "2026-02-01T00:00:00Z"


def test_launch_by_patch__stored_end_has_passed__is_refused_for_the_order_of_the_dates(
    experiments: Experiments, clock: Clock
) -> None:
    experiment = draft_with_every_fault(experiments, clock)
    refused(experiments.patch(experiment, {"start_date": "2026-03-01"}), LAUNCH_REFUSALS[3])


def test_launch__every_fault_mended__succeeds(experiments: Experiments, clock: Clock) -> None:
    experiment = draft_with_every_fault(experiments, clock)
    mend(experiments, experiment, 3)
    experiments.patched(experiment, end_date=None)
    assert experiments.acted(experiment, "launch")["status"] == "running"


def test_launch__stored_end_is_this_moment__is_refused(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.made(end_date="2026-01-01")
    refused(experiments.act(experiment, "launch"), LAUNCH_REFUSALS[3])


def test_launch__variants_in_the_same_patch__are_those_that_count(experiments: Experiments) -> None:
    experiment = experiments.made()
    experiments.patched_flag(experiment, filters=variants(CONTROL | {"rollout_percentage": 100}))
    sent = {"feature_flag_variants": [CONTROL, OTHERS[0]]}
    launched = experiments.patched(experiment, start_date="2026-01-01", parameters=sent)
    assert launched["status"] == "running"
    assert launched["feature_flag"]["filters"]["multivariate"]["variants"] == [CONTROL, OTHERS[0]]


def with_deleted_flag(experiments: Experiments, clock: Clock, *, active: bool) -> Shown:
    """An experiment without an end date whose flag was deleted while it was stopped."""
    experiment = experiments.bring_to("stopped", clock)
    experiments.patched_flag(experiment, active=active)
    experiments.patched_flag(experiment, deleted=True)
    return experiments.patched(experiment, end_date=None)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("act", ["pause", "resume"])
def test_pause_and_resume__deleted_flag__say_so_whether_it_is_on_or_off(
    experiments: Experiments, clock: Clock, act: str, active: bool
) -> None:
    experiment = with_deleted_flag(experiments, clock, active=active)
    assert experiment["status"] == ("running" if active else "paused")
    refused(experiments.act(experiment, act), "Experiment does not have a feature flag linked.")


@pytest.mark.parametrize(
    ("state", "detail"),
    [("draft", "Experiment has not been launched yet."), ("stopped", "Experiment has already ended.")],
)
@pytest.mark.parametrize("act", ["pause", "resume"])
def test_pause_and_resume__deleted_flag__name_the_state_first(
    experiments: Experiments, clock: Clock, act: str, state: str, detail: str
) -> None:
    experiment = experiments.bring_to("stopped", clock)
    experiments.patched_flag(experiment, deleted=True)
    if state == "draft":
        experiments.acted(experiment, "reset")
    refused(experiments.act(experiment, act), detail)


def test_ship_variant__deleted_flag__is_named_before_the_unknown_variant(
    experiments: Experiments, clock: Clock
) -> None:
    experiment = with_deleted_flag(experiments, clock, active=True)
    answer = experiments.act(experiment, "ship_variant", variant_key="nobody")
    refused(answer, "Experiment does not have a linked feature flag.")


def test_ship_variant__draft__is_named_before_the_unknown_variant(experiments: Experiments) -> None:
    answer = experiments.act(experiments.made(), "ship_variant", variant_key="nobody")
    refused(answer, "Experiment has not been launched yet.")


def test_ship_variant__unknown_variant__is_named(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.bring_to("running", clock)
    answer = experiments.act(experiment, "ship_variant", variant_key="Test")
    refused(answer, "Variant 'Test' not found on feature flag.")
    assert experiments.shown(experiment) == experiment


def test_end__deleted_flag__is_possible(experiments: Experiments, clock: Clock) -> None:
    assert experiments.acted(with_deleted_flag(experiments, clock, active=True), "end")["status"] == "stopped"


@pytest.mark.parametrize(
    ("act", "body", "code", "detail", "attr"),
    [
        ("end", {"conclusion": "great"}, "invalid_choice", '"great" is not a valid choice.', "conclusion"),
        ("end", {"conclusion_comment": []}, "invalid_input", "Not a valid string.", "conclusion_comment"),
        ("ship_variant", {}, "required", "This field is required.", "variant_key"),
        ("ship_variant", {"variant_key": None}, "null", "This field may not be null.", "variant_key"),
        ("ship_variant", {"variant_key": " "}, "blank", "This field may not be blank.", "variant_key"),
        (
            "ship_variant",
            {"variant_key": "test", "release_to_everyone": "maybe"},
            "invalid_input",
            "Must be a valid boolean.",
            "release_to_everyone",
        ),
    ],
)
def test_acts__body_and_state_both_wrong__name_the_body(
    experiments: Experiments, act: str, body: Shown, code: str, detail: str, attr: str
) -> None:
    refused(experiments.act(experiments.made(), act, **body), detail, attr, code)


ARCHIVED = "Cannot enable an archived feature flag. Unarchive it first."


@pytest.mark.parametrize("by_patch", [False, True])
def test_launch__archived_flag__is_refused_and_undone(experiments: Experiments, by_patch: bool) -> None:
    experiment = experiments.made()
    experiments.patched_flag(experiment, archived=True)
    before, log = experiments.get(experiment).content, experiments.log()
    body = {"start_date": "2026-01-01", "name": "Other"}
    refused(experiments.patch(experiment, body) if by_patch else experiments.act(experiment, "launch"), ARCHIVED)
    assert (experiments.get(experiment).content, experiments.log()) == (before, log)


def test_resume__archived_flag__is_refused_and_undone(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.bring_to("paused", clock)
    experiments.patched_flag(experiment, archived=True)
    refused(experiments.act(experiment, "resume"), ARCHIVED)
    assert experiments.shown(experiment)["status"] == "paused"


def depending_on(flag_id: int) -> Shown:
    condition = {"type": "flag", "key": str(flag_id), "operator": "flag_evaluates_to", "value": True}
    return {"groups": [{"properties": [condition], "rollout_percentage": 100}]}


def test_launch__flag_depends_on_one_that_is_off__is_refused_and_undone(experiments: Experiments) -> None:
    needed = experiments.made_flag(key="needed", filters={"groups": [{"properties": [], "rollout_percentage": 100}]})
    experiment = experiments.made()
    experiments.patched_flag(experiment, filters=depending_on(needed["id"]))
    experiments.client.post(f"{experiments.flag_url(needed['id'])}disable/")
    before, log = experiments.get(experiment).content, experiments.log()
    refused(
        experiments.act(experiment, "launch"),
        f"Cannot enable this feature flag because it depends on disabled flags: needed (ID: {needed['id']}). "
        "Please enable the dependency flags first.",
    )
    assert (experiments.get(experiment).content, experiments.log()) == (before, log)


def test_pause__another_flag_depends_on_it__is_refused_and_undone(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.bring_to("running", clock)
    other = experiments.made_flag(key="other", filters=depending_on(experiment["feature_flag"]["id"]))
    before, log = experiments.get(experiment).content, experiments.log()
    refused(
        experiments.act(experiment, "pause"),
        f"Cannot disable this feature flag because other flags depend on it: other (ID: {other['id']}). "
        "Please update or disable the dependent flags first.",
    )
    assert (experiments.get(experiment).content, experiments.log()) == (before, log)


def test_end__before_a_start_in_the_future__is_refused(experiments: Experiments) -> None:
    experiment = experiments.made(start_date="2199-01-01")
    refused(experiments.act(experiment, "end"), "End date must be after start date")
    refused(experiments.act(experiment, "ship_variant", variant_key="test"), "End date must be after start date")


def test_restore__deleted_flag__is_refused_whatever_else_is_sent(experiments: Experiments, clock: Clock) -> None:
    experiment = experiments.bring_to("stopped", clock)
    experiments.patched(experiment, deleted=True)
    experiments.patched_flag(experiment, deleted=True)
    answer = experiments.patch(experiment, {"deleted": False, "type": "web"})
    refused(
        answer,
        "Cannot restore experiment: the linked feature flag has been deleted. "
        "Restore the feature flag first, then restore the experiment.",
    )
    assert experiments.get(experiment).status_code == 404
