"""`parameters.feature_flag_variants`: brought to one form, then judged."""

from typing import Any

import pytest

from tests.experiments.conftest import Experiments, everything, flag_of, variants

NO_PERCENTAGE = "Each variant must include split_percent (recommended) or rollout_percentage (deprecated)."
TOO_FEW = "Feature flag must have at least 2 variants (control and at least one test variant)"


def at(index: int, rest: str) -> str:
    return f"Feature flag variant at index {index} must {rest}"


def no_control(keys: str) -> str:
    return (
        f"Feature flag variants must contain a variant with key 'control' (lowercase, exactly). Got keys: {keys}. "
        "Rename the baseline variant's 'key' to 'control'."
    )


KEY = "have a 'key' field"
NAME = "have a string name"
RANGE = "have a rollout_percentage between 0 and 100"
control = {"key": "control", "rollout_percentage": 50}


def treatment(**fields: Any) -> dict[str, Any]:
    """The second variant."""
    return {"key": "test", "rollout_percentage": 50, **fields}


WRONG: list[tuple[Any, str]] = [
    (None, "Feature flag variants must be a list"),
    ({}, "Feature flag variants must be a list"),
    ("control", "Feature flag variants must be a list"),
    ([control, "test"], at(1, "be an object")),
    ([[], control], at(0, "be an object")),
    ([control, None], at(1, "be an object")),
    ([control, {"rollout_percentage": 50}], at(1, KEY)),
    ([control, treatment(key="")], at(1, KEY)),
    ([control, treatment(key="  ")], at(1, KEY)),
    ([control, treatment(key=None)], at(1, KEY)),
    ([control, treatment(key=5)], at(1, KEY)),
    ([control, treatment(name=5)], at(1, NAME)),
    ([control, treatment(name=[])], at(1, NAME)),
    ([control, {"key": "test"}], NO_PERCENTAGE),
    ([control, treatment(rollout_percentage=None)], NO_PERCENTAGE),
    ([control, treatment(rollout_percentage=None, split_percent=None)], NO_PERCENTAGE),
    ([control, treatment(rollout_percentage="50")], at(1, RANGE)),
    ([control, treatment(rollout_percentage=True)], at(1, RANGE)),
    ([control, treatment(rollout_percentage=-1)], at(1, RANGE)),
    ([control, treatment(rollout_percentage=100.01)], at(1, RANGE)),
    ([control, treatment(rollout_percentage=10**400)], at(1, RANGE)),
    ([control, treatment(split_percent=[])], at(1, RANGE)),
    ([control, treatment(split_percent=101)], at(1, RANGE)),
    (
        [control, *(treatment(key=f"v{n}", rollout_percentage=0) for n in range(20))],
        "Feature flag variants must be less than 21",
    ),
    ([control], TOO_FEW),
    ([treatment()], TOO_FEW),
    ([treatment(key="a"), treatment(key="b")], no_control("['a', 'b']")),
    ([treatment(key="Control"), treatment(key="CONTROL")], no_control("['Control', 'CONTROL']")),
    ([treatment(key=" control "), treatment()], no_control("[' control ', 'test']")),
]


@pytest.mark.parametrize("state", ["new", "draft", "running"])
@pytest.mark.parametrize(("sent", "detail"), WRONG, ids=lambda value: str(value)[:70])
def test_variants__wrong__are_refused_at_parameters(
    experiments: Experiments, state: str, sent: Any, detail: str
) -> None:
    body = {"parameters": {"feature_flag_variants": sent}}
    made = {"new": dict, "draft": experiments.made, "running": experiments.running}[state]()
    before = everything()
    answer = experiments.patch(made["id"], body) if made else experiments.try_new(**body)

    experiments.refused(answer, detail, attr="parameters")
    assert everything() == before


def test_variants__split_percent__becomes_the_rollout_and_wins(experiments: Experiments) -> None:
    sent = [
        {"key": "control", "split_percent": 25.5},
        {"key": "test", "split_percent": 74.5, "rollout_percentage": 1, "name": None},
    ]
    made = experiments.made(parameters={"feature_flag_variants": sent})

    assert flag_of(made).filters["multivariate"]["variants"] == [
        {"key": "control", "rollout_percentage": 25.5},
        {"key": "test", "rollout_percentage": 74.5, "name": None},
    ]
    assert made["parameters"]["feature_flag_variants"] == [
        {"key": "control", "rollout_percentage": 25.5, "split_percent": 25.5},
        {"key": "test", "rollout_percentage": 74.5, "name": None, "split_percent": 74.5},
    ]


def test_variants__null_split_percent__leaves_the_rollout(experiments: Experiments) -> None:
    sent = [{"key": "control", "split_percent": None, "rollout_percentage": 50}, treatment()]

    assert experiments.made(parameters={"feature_flag_variants": sent})["parameters"]["feature_flag_variants"][0] == {
        "key": "control",
        "rollout_percentage": 50,
        "split_percent": 50,
    }


@pytest.mark.parametrize("spelled", ["Control", "CONTROL", "cOnTrOl"])
def test_variants__the_only_key_alike__becomes_control(experiments: Experiments, spelled: str) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(50, 50, keys=("test", spelled))})

    assert [variant["key"] for variant in made["parameters"]["feature_flag_variants"]] == ["test", "control"]


def test_variants__beside_an_exact_control__others_alike_stay(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(50, 50, keys=("control", "Control"))})

    assert [variant["key"] for variant in made["parameters"]["feature_flag_variants"]] == ["control", "Control"]


def test_variants__spelling_of_control__is_normalised_after_launch_too(experiments: Experiments) -> None:
    made = experiments.running()
    changed = experiments.changed(
        made["id"], parameters={"feature_flag_variants": variants(1, 1, keys=("Control", "test"))}
    )

    assert changed["parameters"]["feature_flag_variants"][0]["key"] == "control"


def test_variants__empty__mean_the_defaults(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": []})
    names = [(variant["key"], variant["name"]) for variant in made["parameters"]["feature_flag_variants"]]

    assert names == [("control", "Control Group"), ("test", "Test Variant")]


def test_variants__empty_in_a_draft__make_the_flag_serve_the_defaults(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 30, 50)})
    changed = experiments.changed(made["id"], parameters={"feature_flag_variants": []})

    assert [variant["rollout_percentage"] for variant in flag_of(changed).filters["multivariate"]["variants"]] == [
        *(50, 50)
    ]


def test_variants__their_own_further_keys__are_kept_but_not_in_the_flag(experiments: Experiments) -> None:
    sent = [{**control, "color": "red", "description": "Old"}, treatment()]
    made = experiments.made(parameters={"feature_flag_variants": sent})

    assert made["parameters"]["feature_flag_variants"][0]["color"] == "red"
    assert flag_of(made).filters["multivariate"]["variants"][0] == {**control, "description": "Old"}


def test_variants__twenty__are_allowed(experiments: Experiments) -> None:
    sent = [
        {"key": "control", "rollout_percentage": 5},
        *({"key": f"v{n}", "rollout_percentage": 5} for n in range(19)),
    ]

    assert (
        len(experiments.made(parameters={"feature_flag_variants": sent})["parameters"]["feature_flag_variants"]) == 20
    )


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ([{"key": "control"}, treatment(key=None)], at(1, KEY)),
        ([treatment(key=""), "x"], at(1, "be an object")),
        ([{"key": "control", "name": 5}, treatment(key="")], at(1, KEY)),
        ([treatment(rollout_percentage=-1), {"key": "control"}], NO_PERCENTAGE),
        ([treatment(rollout_percentage=-1), treatment(name=5)], at(1, NAME)),
        ([treatment(rollout_percentage=-1)], at(0, RANGE)),
    ],
    ids=lambda value: str(value)[:70],
)
def test_variants__two_broken_rules__the_earlier_in_the_table_is_told(
    experiments: Experiments, sent: Any, detail: str
) -> None:
    answer = experiments.try_new(parameters={"feature_flag_variants": sent})

    experiments.refused(answer, detail, attr="parameters")
