"""Experiments on one flag share its state."""

import pytest

from tests.experiments.lifecycle.conftest import Clock, Experiments, Shown


@pytest.fixture
def pair(experiments: Experiments, clock: Clock) -> tuple[Shown, Shown]:
    """Two running experiments on one flag."""
    first = experiments.bring_to("running", clock)
    second = experiments.acted(experiments.made(name="Second"), "launch")
    assert first["feature_flag"]["id"] == second["feature_flag"]["id"]
    return first, second


def statuses(experiments: Experiments, *listed: Shown) -> list[str]:
    return [experiments.shown(experiment)["status"] for experiment in listed]


def test_create__key_of_a_live_flag__shares_it_as_it_is(experiments: Experiments, clock: Clock) -> None:
    first = experiments.bring_to("draft", clock)
    second = experiments.made(name="Second", start_date="2026-01-01")
    assert second["feature_flag"] == first["feature_flag"]
    assert (second["status"], second["feature_flag"]["active"]) == ("paused", False)


def test_launch__one_of_two_drafts__leaves_the_other_a_draft(experiments: Experiments) -> None:
    first, second = experiments.made(), experiments.made(name="Second")
    experiments.acted(first, "launch")
    assert statuses(experiments, first, second) == ["running", "draft"]


def test_launch__flag_already_on__writes_only_the_experiment(experiments: Experiments, clock: Clock) -> None:
    first = experiments.bring_to("running", clock)
    second = experiments.made(name="Second")
    logged = len(experiments.log())
    assert experiments.acted(second, "launch")["feature_flag"] == first["feature_flag"]
    assert [row["scope"] for row in experiments.log()[logged:]] == ["Experiment"]


def test_pause__one__pauses_all_in_one_flag_write(experiments: Experiments, pair: tuple[Shown, Shown]) -> None:
    first, second = pair
    logged = len(experiments.log())
    experiments.acted(first, "pause")
    assert statuses(experiments, first, second) == ["paused", "paused"]
    assert experiments.shown(second)["feature_flag"]["version"] == first["feature_flag"]["version"] + 1
    assert [row["scope"] for row in experiments.log()[logged:]] == ["FeatureFlag"]


def test_pause__paused_by_the_other__is_refused(experiments: Experiments, pair: tuple[Shown, Shown]) -> None:
    first, second = pair
    experiments.acted(first, "pause")
    answer = experiments.act(second, "pause")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Experiment is already paused.")


def test_resume__by_the_other__resumes_both(experiments: Experiments, pair: tuple[Shown, Shown]) -> None:
    first, second = pair
    experiments.acted(first, "pause")
    experiments.acted(second, "resume")
    assert statuses(experiments, first, second) == ["running", "running"]


def test_launch__while_the_others_are_paused__resumes_them(experiments: Experiments, clock: Clock) -> None:
    first = experiments.bring_to("paused", clock)
    second = experiments.made(name="Second")
    experiments.acted(second, "launch")
    assert statuses(experiments, first, second) == ["running", "running"]


def test_flag__switched_off_by_itself__pauses_all(experiments: Experiments, pair: tuple[Shown, Shown]) -> None:
    experiments.patched_flag(pair[0], active=False)
    assert statuses(experiments, *pair) == ["paused", "paused"]


@pytest.mark.parametrize("act", ["end", "reset"])
def test_end_and_reset__one__leave_the_other_as_it_was(
    experiments: Experiments, pair: tuple[Shown, Shown], act: str
) -> None:
    first, second = pair
    experiments.acted(first, act)
    assert experiments.shown(second) == second


def test_ship_variant__one__changes_the_variants_of_the_other_and_does_not_end_it(
    experiments: Experiments, pair: tuple[Shown, Shown]
) -> None:
    first, second = pair
    experiments.acted(first, "ship_variant", variant_key="test")
    after = experiments.shown(second)
    assert (after["status"], after["end_date"]) == ("running", None)
    shares = {variant["key"]: variant["split_percent"] for variant in after["parameters"]["feature_flag_variants"]}
    assert shares == {"control": 0, "test": 100}
