"""POST experiments/{id}/ship_variant/"""

from typing import Any

import pytest

from tests.experiments.lifecycle.conftest import Clock, Experiments, Shown

ADDED = {
    "properties": [],
    "rollout_percentage": 100,
    "description": "Added automatically when the experiment was ended to keep only one variant.",
}
PREMIUM = {
    "properties": [{"key": "plan", "type": "person", "value": "premium", "operator": "exact"}],
    "rollout_percentage": 30,
    "variant": "test",
    "description": "Premium first",
}
VARIANTS = [
    {"key": "control", "name": "Old cart", "rollout_percentage": 20},
    {"key": "test", "name": "", "rollout_percentage": 30, "description": "Two columns"},
    {"key": "third", "rollout_percentage": 50},
]
SHIPPED_VARIANTS = [
    {"key": "control", "name": "Old cart", "rollout_percentage": 0},
    {"key": "test", "rollout_percentage": 100},
    {"key": "third", "rollout_percentage": 0},
]
FILTERS: Shown = {
    "groups": [PREMIUM, {"properties": [], "rollout_percentage": 50}],
    "multivariate": {"variants": VARIANTS},
    "payloads": {"test": '{"columns": 2}'},
    "holdout": {"id": 7, "exclusion_percentage": 10},
    "early_exit": True,
}


@pytest.fixture
def launched(experiments: Experiments) -> Shown:
    """A running experiment on a flag with everything that a flag may have."""
    experiments.made_flag(key="cart", filters=FILTERS)
    return experiments.acted(experiments.made(), "launch")


def shipped(experiments: Experiments, experiment: Shown, **body: Any) -> Shown:
    """The flag's filters after the act."""
    after = experiments.acted(experiment, "ship_variant", **{"variant_key": "test"} | body)
    filters: Shown = after["feature_flag"]["filters"]
    return filters


def test_ship__to_everyone__rewrites_the_filters_to_exactly_four_parts(
    experiments: Experiments, launched: Shown
) -> None:
    assert shipped(experiments, launched) == {
        "groups": [ADDED, *FILTERS["groups"]],
        "multivariate": {"variants": SHIPPED_VARIANTS},
        "payloads": FILTERS["payloads"],
        "aggregation_group_type_index": None,
    }


def test_ship__not_to_everyone__changes_the_variants_alone(experiments: Experiments, launched: Shown) -> None:
    before = launched["feature_flag"]["filters"]
    after = shipped(experiments, launched, release_to_everyone=False)
    assert after == before | {"multivariate": {"variants": SHIPPED_VARIANTS}}


def test_ship__without_payloads__leaves_none(experiments: Experiments, clock: Clock) -> None:
    assert shipped(experiments, experiments.bring_to("running", clock))["payloads"] == {}


@pytest.mark.parametrize("everyone", [True, False])
def test_ship__the_same_again__changes_nothing(experiments: Experiments, launched: Shown, everyone: bool) -> None:
    body = {"variant_key": "test", "release_to_everyone": everyone, "conclusion": "won"}
    experiments.acted(launched, "ship_variant", **body)
    before, log = experiments.get(launched), experiments.log()
    answer = experiments.act(launched, "ship_variant", **body)
    assert (answer.status_code, answer.content, answer["ETag"]) == (200, before.content, before["ETag"])
    assert experiments.log() == log


def test_ship__another_variant_afterwards__adds_no_second_group_and_keeps_the_end(
    experiments: Experiments, launched: Shown
) -> None:
    first = experiments.acted(launched, "ship_variant", variant_key="test")
    second = experiments.acted(launched, "ship_variant", variant_key="third")
    assert second["end_date"] == first["end_date"]
    assert second["feature_flag"]["version"] == first["feature_flag"]["version"] + 1
    filters = second["feature_flag"]["filters"]
    assert filters["groups"] == first["feature_flag"]["filters"]["groups"]
    assert [variant["rollout_percentage"] for variant in filters["multivariate"]["variants"]] == [0, 0, 100]


def test_ship__added_group_no_longer_first__is_added_anew(experiments: Experiments, launched: Shown) -> None:
    groups = shipped(experiments, launched)["groups"]
    moved = [groups[1], groups[0], groups[2]]
    experiments.patched_flag(launched, filters={"groups": moved})
    assert shipped(experiments, launched)["groups"] == [ADDED, *moved]


def test_ship__not_to_everyone_then_to_everyone__adds_the_group(experiments: Experiments, launched: Shown) -> None:
    shipped(experiments, launched, release_to_everyone=False)
    assert shipped(experiments, launched)["groups"][0] == ADDED


def test_ship__flag_about_groups__adds_one_about_the_same_groups(experiments: Experiments) -> None:
    about_companies = {
        "groups": [{"properties": [], "rollout_percentage": 50}],
        "multivariate": {"variants": VARIANTS},
        "aggregation_group_type_index": 1,
    }
    experiments.made_flag(key="cart", filters=about_companies)
    experiment = experiments.acted(experiments.made(), "launch")
    filters = shipped(experiments, experiment)
    assert filters["aggregation_group_type_index"] == 1
    assert filters["groups"] == [
        ADDED | {"aggregation_group_type_index": 1},
        {"properties": [], "rollout_percentage": 50, "aggregation_group_type_index": 1},
    ]
    assert shipped(experiments, experiment) == filters


def test_ship__parameters_of_the_experiment__follow_the_flag(experiments: Experiments, launched: Shown) -> None:
    after = experiments.acted(launched, "ship_variant", variant_key="test")
    shown = [{**variant, "split_percent": variant["rollout_percentage"]} for variant in SHIPPED_VARIANTS]
    assert after["parameters"]["feature_flag_variants"] == shown


@pytest.mark.parametrize("state", ["running", "paused", "stopped", "archived"])
def test_ship__in_any_state__leaves_the_flag_on_or_off(experiments: Experiments, clock: Clock, state: str) -> None:
    experiment = experiments.bring_to(state, clock)
    after = experiments.acted(experiment, "ship_variant", variant_key="test")
    assert after["feature_flag"]["active"] == experiment["feature_flag"]["active"] == (state != "paused")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("won", "Clearly.")),
        ({"conclusion": None}, (None, "Clearly.")),
        ({"conclusion_comment": None}, ("won", None)),
        ({"conclusion_comment": ""}, ("won", "")),
        ({"conclusion": "lost", "conclusion_comment": "No."}, ("lost", "No.")),
    ],
)
def test_ship__conclusion__is_set_as_sent_and_kept_when_absent(
    experiments: Experiments, clock: Clock, body: Shown, expected: tuple[str | None, str | None]
) -> None:
    experiment = experiments.bring_to("stopped", clock)
    after = experiments.acted(experiment, "ship_variant", variant_key="test", **body)
    assert (after["conclusion"], after["conclusion_comment"]) == expected


@pytest.mark.parametrize("everyone", ["false", "0", 0, False])
def test_ship__forms_of_false__are_understood(experiments: Experiments, launched: Shown, everyone: Any) -> None:
    assert "holdout" in shipped(experiments, launched, release_to_everyone=everyone)


def test_ship__running__is_one_row_of_each_in_the_log(experiments: Experiments, launched: Shown) -> None:
    logged = len(experiments.log())
    shipped(experiments, launched)
    rows = experiments.log()[logged:]
    assert sorted(row["scope"] for row in rows) == ["Experiment", "FeatureFlag"]
    assert {row["trigger"]["payload"]["action"] for row in rows} == {"ship_variant"}
