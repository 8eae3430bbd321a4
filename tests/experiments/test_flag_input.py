"""The writable `feature_flag` of an experiment."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from feature_flags.models import FeatureFlag
from tests.experiments.conftest import Experiments, everything, flag_of, variants

UNSUPPORTED = "Unsupported key for the experiment feature_flag input."
WHOLE: dict[str, Any] = {
    "filters": {
        "multivariate": {"variants": variants(20, 30, 50)},
        "groups": [{"properties": [], "rollout_percentage": 12.5}],
        "payloads": {"test": '{"a": 1}', "third": {"b": [1.0]}},
        "aggregation_group_type_index": 1,
    },
    "ensure_experience_continuity": True,
}


def test_create__feature_flag__configures_the_new_flag(experiments: Experiments) -> None:
    made = experiments.made(feature_flag=WHOLE)
    flag = flag_of(made)

    assert flag.filters == {
        "groups": [{"properties": [], "rollout_percentage": 12.5, "aggregation_group_type_index": 1}],
        "multivariate": {"variants": variants(20, 30, 50)},
        "aggregation_group_type_index": 1,
        "holdout": None,
        "payloads": {"test": '{"a": 1}', "third": '{"b":[1.0]}'},
    }
    assert flag.ensure_experience_continuity is True
    assert [variant["key"] for variant in made["parameters"]["feature_flag_variants"]] == ["control", "test", "third"]


def test_create__feature_flag__wins_over_parameters(experiments: Experiments) -> None:
    made = experiments.made(
        feature_flag=WHOLE,
        parameters={
            "feature_flag_variants": variants(1, 99),
            "rollout_percentage": 1,
            "aggregation_group_type_index": 4,
            "feature_flag_payloads": {"control": "1"},
            "ensure_experience_continuity": False,
        },
    )
    flag = flag_of(made)

    assert flag.filters["multivariate"] == {"variants": variants(20, 30, 50)}
    assert flag.filters["groups"][0]["rollout_percentage"] == 12.5
    assert (flag.filters["aggregation_group_type_index"], flag.ensure_experience_continuity) == (1, True)
    assert flag.filters["payloads"].keys() == {"test", "third"}
    shown = made["parameters"]
    assert len(shown["feature_flag_variants"]) == 3
    assert (shown["rollout_percentage"], shown["aggregation_group_type_index"]) == (12.5, 1)


def test_create__what_feature_flag_omits__parameters_say(experiments: Experiments) -> None:
    flag = flag_of(
        experiments.made(
            feature_flag={"filters": {"groups": [{"rollout_percentage": 5}]}},
            parameters={"feature_flag_variants": variants(20, 80), "ensure_experience_continuity": True},
        )
    )

    assert flag.filters["groups"] == [{"properties": [], "rollout_percentage": 5}]
    assert flag.filters["multivariate"] == {"variants": variants(20, 80)}
    assert flag.ensure_experience_continuity is True


@pytest.mark.parametrize(
    "feature_flag",
    [
        {"filters": {}},
        {"filters": {"groups": []}},
        {"filters": {"groups": [{}]}},
        {"filters": {"groups": [{"properties": [], "rollout_percentage": None}]}},
        {"filters": {"multivariate": {"variants": []}}},
        {"filters": {"aggregation_group_type_index": None}},
        {"ensure_experience_continuity": None},
        {"ensure_experience_continuity": False},
    ],
    ids=str,
)
def test_create__feature_flag_that_says_the_default__makes_the_default_flag(
    experiments: Experiments, feature_flag: dict[str, Any]
) -> None:
    flag = flag_of(experiments.made(feature_flag=feature_flag))

    assert flag.filters["groups"] == [{"properties": [], "rollout_percentage": 100}]
    assert [variant["key"] for variant in flag.filters["multivariate"]["variants"]] == ["control", "test"]
    assert flag.ensure_experience_continuity is False


IGNORED: list[Any] = [
    None,
    {},
    {"unknown": 1},
    {"id": 5, "filters": {"groups": "nonsense"}},
    {"id": "x", "unknown": 1, "ensure_experience_continuity": True},
    {"id": None, "name": "x"},
]


@pytest.mark.parametrize("feature_flag", IGNORED, ids=str)
def test_create__null_echo_and_empty__are_ignored(
    experiments: Experiments, flag: Callable[..., FeatureFlag], feature_flag: Any
) -> None:
    live = flag()

    assert experiments.made(feature_flag=feature_flag)["feature_flag"]["id"] == live.pk


@pytest.mark.parametrize("state", ["draft", "running"])
@pytest.mark.parametrize("feature_flag", IGNORED, ids=str)
def test_update__null_echo_and_empty__change_nothing(experiments: Experiments, state: str, feature_flag: Any) -> None:
    made = experiments.made() if state == "draft" else experiments.running()
    before = everything()
    experiments.changed(made["id"], feature_flag=feature_flag)

    assert everything() == before


VARIANT_PATH = "feature_flag__filters__multivariate__variants__1"
GROUP_PATH = "feature_flag__filters__groups__0"


def with_variant(**fields: Any) -> dict[str, Any]:
    return {"filters": {"multivariate": {"variants": [variants(50)[0], fields]}}}


def with_group(**fields: Any) -> dict[str, Any]:
    return {"filters": {"groups": [fields]}}


NO_DICTIONARY = "Invalid data. Expected a dictionary, but got str."
WRONG: list[tuple[Any, str, str, str]] = [
    ("x", "feature_flag__non_field_errors", "invalid_input", NO_DICTIONARY),
    ({"filters": "x"}, "feature_flag__filters__non_field_errors", "invalid_input", NO_DICTIONARY),
    (
        {"filters": {"multivariate": "x"}},
        "feature_flag__filters__multivariate__non_field_errors",
        "invalid_input",
        NO_DICTIONARY,
    ),
    (
        {"filters": {"multivariate": {}}},
        "feature_flag__filters__multivariate__variants",
        "required",
        "This field is required.",
    ),
    (
        {"filters": {"multivariate": {"variants": {}}}},
        "feature_flag__filters__multivariate__variants",
        "not_a_list",
        'Expected a list of items but got type "dict".',
    ),
    (
        {"filters": {"multivariate": {"variants": [variants(50)[0], "x"]}}},
        f"{VARIANT_PATH}__non_field_errors",
        "invalid_input",
        NO_DICTIONARY,
    ),
    ({"filters": {}, "active": True}, "feature_flag__active", "invalid_input", UNSUPPORTED),
    ({"filters": {"holdout": None}}, "feature_flag__filters__holdout", "invalid_input", UNSUPPORTED),
    (
        {"filters": {"multivariate": {"variants": [], "own": 1}}},
        "feature_flag__filters__multivariate__own",
        "invalid_input",
        UNSUPPORTED,
    ),
    (
        with_variant(key="test", rollout_percentage=50, own=1),
        f"{VARIANT_PATH}__own",
        "invalid_input",
        UNSUPPORTED,
    ),
    (with_group(variant="test"), f"{GROUP_PATH}__variant", "invalid_input", UNSUPPORTED),
    (with_variant(rollout_percentage=50), f"{VARIANT_PATH}__key", "required", "This field is required."),
    (with_variant(key=None, rollout_percentage=50), f"{VARIANT_PATH}__key", "null", "This field may not be null."),
    (with_variant(key="", rollout_percentage=50), f"{VARIANT_PATH}__key", "blank", "This field may not be blank."),
    (with_variant(key=[], rollout_percentage=50), f"{VARIANT_PATH}__key", "invalid_input", "Not a valid string."),
    (
        with_variant(key="test", name={}, rollout_percentage=50),
        f"{VARIANT_PATH}__name",
        "invalid_input",
        "Not a valid string.",
    ),
    (with_variant(key="test"), f"{VARIANT_PATH}__rollout_percentage", "required", "This field is required."),
    (
        with_variant(key="test", rollout_percentage=None),
        f"{VARIANT_PATH}__rollout_percentage",
        "null",
        "This field may not be null.",
    ),
    (
        with_variant(key="test", rollout_percentage="many"),
        f"{VARIANT_PATH}__rollout_percentage",
        "invalid_input",
        "A valid number is required.",
    ),
    (
        with_variant(key="test", rollout_percentage=True),
        f"{VARIANT_PATH}__rollout_percentage",
        "invalid_input",
        "A valid number is required.",
    ),
    (
        with_variant(key="test", rollout_percentage=100.5),
        f"{VARIANT_PATH}__rollout_percentage",
        "max_value",
        "Ensure this value is less than or equal to 100.",
    ),
    (
        with_variant(key="test", rollout_percentage=-1),
        f"{VARIANT_PATH}__rollout_percentage",
        "min_value",
        "Ensure this value is greater than or equal to 0.",
    ),
    (
        with_variant(key="test", rollout_percentage=10**400),
        f"{VARIANT_PATH}__rollout_percentage",
        "invalid_input",
        "A valid number is required.",
    ),
    (
        {"filters": {"groups": [{}, {}]}},
        "feature_flag__filters__groups",
        "max_length",
        "Ensure this field has no more than 1 elements.",
    ),
    (
        with_group(properties=[{"key": "a"}]),
        f"{GROUP_PATH}__properties",
        "max_length",
        "Ensure this field has no more than 0 elements.",
    ),
    (
        with_group(rollout_percentage=-0.5),
        f"{GROUP_PATH}__rollout_percentage",
        "min_value",
        "Ensure this value is greater than or equal to 0.",
    ),
    (
        {"filters": {"groups": {}}},
        "feature_flag__filters__groups",
        "not_a_list",
        'Expected a list of items but got type "dict".',
    ),
    (
        {"filters": {"payloads": []}},
        "feature_flag__filters__payloads",
        "not_a_dict",
        'Expected a dictionary of items but got type "list".',
    ),
    (
        {"filters": {"aggregation_group_type_index": 5}},
        "feature_flag__filters__aggregation_group_type_index",
        "max_value",
        "Ensure this value is less than or equal to 4.",
    ),
    (
        {"filters": {"aggregation_group_type_index": 1.5}},
        "feature_flag__filters__aggregation_group_type_index",
        "invalid_input",
        "A valid integer is required.",
    ),
    (
        {"ensure_experience_continuity": "perhaps"},
        "feature_flag__ensure_experience_continuity",
        "invalid_input",
        "Must be a valid boolean.",
    ),
]


@pytest.mark.parametrize(("feature_flag", "attr", "code", "detail"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_input__is_refused_at_its_full_path(
    experiments: Experiments, feature_flag: Any, attr: str, code: str, detail: str
) -> None:
    before = everything()
    experiments.refused(experiments.try_new(feature_flag=feature_flag), detail, attr=attr, code=code)

    assert everything() == before


TOO_FEW = "Feature flag must have at least 2 variants (control and at least one test variant)"


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (variants(100), TOO_FEW),
        (
            variants(50, 50, keys=("a", "b")),
            "Feature flag variants must contain a variant with key 'control' (lowercase, exactly). "
            "Got keys: ['a', 'b']. Rename the baseline variant's 'key' to 'control'.",
        ),
        (
            [{"key": f"v{n}", "rollout_percentage": 0} for n in range(20)] + variants(100),
            "Feature flag variants must be less than 21",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_variant_rules__are_told_of_the_feature_flag(experiments: Experiments, sent: Any, detail: str) -> None:
    experiments.refused(
        experiments.try_new(feature_flag={"filters": {"multivariate": {"variants": sent}}}),
        detail,
        attr="feature_flag",
    )


def test_split_percent_and_the_spelling_of_control__are_normalised(experiments: Experiments) -> None:
    sent = [{"key": "CONTROL", "split_percent": 20}, {"key": "test", "split_percent": 80, "rollout_percentage": 1}]
    flag = flag_of(experiments.made(feature_flag={"filters": {"multivariate": {"variants": sent}}}))

    assert flag.filters["multivariate"] == {"variants": variants(20, 80)}


@pytest.mark.parametrize(("sent", "stored"), [(12, "12"), (12.0, "12.0"), ("12", "12.0"), ("12.5", "12.5")])
def test_numbers_in_it__keep_their_form_and_texts_become_numbers(
    experiments: Experiments, sent: Any, stored: str
) -> None:
    flag = flag_of(experiments.made(feature_flag={"filters": {"groups": [{"rollout_percentage": sent}]}}))

    assert json.dumps(flag.filters["groups"][0]["rollout_percentage"]) == stored


def test_texts_in_it__are_not_trimmed(experiments: Experiments) -> None:
    sent = [{"key": "control", "name": " Old ", "rollout_percentage": 50}, variants(50, 50)[1]]
    flag = flag_of(experiments.made(feature_flag={"filters": {"multivariate": {"variants": sent}}}))

    assert flag.filters["multivariate"]["variants"][0]["name"] == " Old "


def test_incomplete_weights__are_refused(experiments: Experiments) -> None:
    experiments.refused(
        experiments.try_new(feature_flag={"filters": {"multivariate": {"variants": variants(50, 10)}}}),
        "Invalid variant definitions: Variant rollout percentages must sum to 100.",
        attr="filters",
    )


def test_create__configuring_a_live_flag__is_refused(
    experiments: Experiments, flag: Callable[..., FeatureFlag]
) -> None:
    flag()
    before = everything()

    experiments.refused(
        experiments.try_new(feature_flag={"ensure_experience_continuity": True}),
        "A feature flag with key 'blue-button' already exists; the experiment links to it as-is, so its config cannot "
        "be set here. Omit feature_flag to reuse the existing flag, or edit the flag directly.",
        attr="feature_flag",
    )
    assert everything() == before


# PATCH


def test_draft__feature_flag__is_written(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(made["id"], feature_flag=WHOLE)
    flag = changed["feature_flag"]

    assert flag["filters"]["multivariate"] == {"variants": variants(20, 30, 50)}
    assert flag["filters"]["groups"] == [
        {"properties": [], "rollout_percentage": 12.5, "aggregation_group_type_index": 1}
    ]
    assert flag["filters"]["payloads"] == {"test": '{"a": 1}', "third": '{"b":[1.0]}'}
    assert (flag["ensure_experience_continuity"], flag["version"]) == (True, 2)
    assert len(changed["parameters"]["feature_flag_variants"]) == 3
    assert changed["parameters"]["aggregation_group_type_index"] == 1


@pytest.mark.parametrize("part", ["multivariate", "groups", "payloads", "aggregation_group_type_index"])
def test_draft__what_it_omits__keeps_the_flags_present_value(experiments: Experiments, part: str) -> None:
    made = experiments.made(feature_flag=WHOLE)
    before = made["feature_flag"]
    new: dict[str, Any] = {
        "multivariate": {"variants": variants(10, 20, 70)},
        "groups": [{"rollout_percentage": 1}],
        "payloads": {"test": "2"},
        "aggregation_group_type_index": None,
    }
    flag = experiments.changed(made["id"], feature_flag={"filters": {part: new[part]}})["feature_flag"]

    untouched = new.keys() - {part} - ({"groups"} if part == "aggregation_group_type_index" else set())
    assert {name: flag["filters"][name] for name in untouched} == {name: before["filters"][name] for name in untouched}
    assert flag["ensure_experience_continuity"] is True
    assert flag["filters"]["groups"][0]["rollout_percentage"] == (1 if part == "groups" else 12.5)


@pytest.mark.parametrize(("sent", "kept"), [(True, True), (False, False), (None, True)])
def test_draft__continuity_alone__is_written_unless_null(experiments: Experiments, sent: Any, kept: bool) -> None:
    made = experiments.made(feature_flag={"ensure_experience_continuity": True})
    changed = experiments.changed(made["id"], feature_flag={"ensure_experience_continuity": sent})

    assert changed["feature_flag"]["ensure_experience_continuity"] is kept
    assert changed["feature_flag"]["filters"] == made["feature_flag"]["filters"]


def test_draft__it_wins_over_parameters(experiments: Experiments) -> None:
    made = experiments.made()
    changed = experiments.changed(
        made["id"],
        parameters={"feature_flag_variants": variants(1, 99), "rollout_percentage": 1, "own": 1},
        feature_flag={"filters": {"groups": [{"rollout_percentage": 100}]}},
    )

    assert changed["feature_flag"]["filters"]["multivariate"] == {"variants": variants(1, 99)}
    assert changed["feature_flag"]["filters"]["groups"] == [{"properties": [], "rollout_percentage": 100}]
    assert (changed["parameters"]["rollout_percentage"], changed["parameters"]["own"]) == (100, 1)


RUNNING = (
    "This experiment is running. To change its flag config, send update_feature_flag_params=true "
    "(or edit the feature flag directly)."
)


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize("switch", [{}, {"update_feature_flag_params": "false"}])
def test_launched__without_the_switch__is_refused(experiments: Experiments, state: str, switch: dict[str, Any]) -> None:
    made = experiments.running() if state == "running" else experiments.stopped()
    before = everything()
    body = {"feature_flag": {"filters": {"groups": [{"rollout_percentage": 5}]}}, **switch}

    experiments.refused(experiments.patch(made["id"], body), RUNNING, attr="feature_flag")
    assert everything() == before


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_launched__with_the_switch__is_written(experiments: Experiments, state: str) -> None:
    made = experiments.running() if state == "running" else experiments.stopped()
    changed = experiments.changed(
        made["id"],
        feature_flag={
            "filters": {"multivariate": {"variants": variants(10, 90)}, "groups": [{"rollout_percentage": 5}]},
            "ensure_experience_continuity": True,
        },
        update_feature_flag_params="true",
    )
    flag = changed["feature_flag"]

    assert flag["filters"]["multivariate"] == {"variants": variants(10, 90)}
    assert flag["filters"]["groups"][0]["rollout_percentage"] == 5
    assert flag["ensure_experience_continuity"] is True


@pytest.mark.parametrize("switch", [{}, {"update_feature_flag_params": True}])
def test_launched__other_variant_keys__are_refused(experiments: Experiments, switch: dict[str, Any]) -> None:
    made = experiments.running()
    body = {"feature_flag": {"filters": {"multivariate": {"variants": variants(20, 30, 50)}}}, **switch}

    experiments.refused(experiments.patch(made["id"], body), "Can't update feature_flag_variants on Experiment")
