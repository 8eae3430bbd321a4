"""`parameters` and `running_time_calculation`: their rules, what is stored, and the read form."""

from typing import Any

import pytest

from experiments.models import Experiment
from tests.experiments.conftest import ENDED, STARTED, Experiments, everything, flag_of, variants

DATES: list[dict[str, Any]] = [{}, {"start_date": STARTED}, {"start_date": STARTED, "end_date": ENDED}]
DEFAULTS = [
    {"key": "control", "name": "Control Group", "rollout_percentage": 50, "split_percent": 50},
    {"key": "test", "name": "Test Variant", "rollout_percentage": 50, "split_percent": 50},
]


@pytest.mark.parametrize("dates", DATES, ids=len)
@pytest.mark.parametrize("sent", [None, {}])
def test_empty__is_valid_in_every_state_and_reads_as_the_flags_variants(
    experiments: Experiments, dates: dict[str, Any], sent: Any
) -> None:
    made = experiments.made(parameters={"own": 1}, **dates)
    changed = experiments.changed(made["id"], parameters=sent)

    assert made["parameters"] == {"feature_flag_variants": DEFAULTS, "own": 1}
    assert changed["parameters"] == {"feature_flag_variants": DEFAULTS}


@pytest.mark.parametrize("dates", DATES, ids=len)
def test_sent__replaces_as_a_whole(experiments: Experiments, dates: dict[str, Any]) -> None:
    made = experiments.made(parameters={"own": {"a": 1}, "variant_notes": {"test": "x"}}, **dates)
    changed = experiments.changed(made["id"], parameters={"own": {"b": 1}, "prompt_metadata": [None]})

    assert changed["parameters"] == {"feature_flag_variants": DEFAULTS, "own": {"b": 1}, "prompt_metadata": [None]}


WRONG: list[tuple[Any, str]] = [
    ([], "parameters must be an object"),
    ("x", "parameters must be an object"),
    (0, "parameters must be an object"),
    ({"rollout_percentage": "50"}, "rollout_percentage must be a number between 0 and 100"),
    ({"rollout_percentage": True}, "rollout_percentage must be a number between 0 and 100"),
    ({"rollout_percentage": -0.1}, "rollout_percentage must be a number between 0 and 100"),
    ({"rollout_percentage": 100.1}, "rollout_percentage must be a number between 0 and 100"),
    ({"rollout_percentage": 10**400}, "rollout_percentage must be a number between 0 and 100"),
    ({"rollout_percentage": []}, "rollout_percentage must be a number between 0 and 100"),
    (
        {"aggregation_group_type_index": 5},
        "aggregation_group_type_index must be an integer between 0 and 4",
    ),
    ({"aggregation_group_type_index": -1}, "aggregation_group_type_index must be an integer between 0 and 4"),
    ({"aggregation_group_type_index": 1.0}, "aggregation_group_type_index must be an integer between 0 and 4"),
    ({"aggregation_group_type_index": True}, "aggregation_group_type_index must be an integer between 0 and 4"),
    ({"aggregation_group_type_index": "1"}, "aggregation_group_type_index must be an integer between 0 and 4"),
    ({"ensure_experience_continuity": 1}, "ensure_experience_continuity must be a boolean"),
    ({"ensure_experience_continuity": "true"}, "ensure_experience_continuity must be a boolean"),
    ({"feature_flag_payloads": []}, "feature_flag_payloads must be an object"),
    ({"feature_flag_payloads": None}, "feature_flag_payloads must be an object"),
    ({"custom_exposure_filter": []}, "custom_exposure_filter must be an object"),
    ({"minimum_detectable_effect": "5"}, "minimum_detectable_effect must be a number"),
    ({"recommended_running_time": True}, "recommended_running_time must be a number"),
    ({"recommended_sample_size": []}, "recommended_sample_size must be a number"),
    ({"exposure_estimate_config": 5}, "exposure_estimate_config must be an object"),
    ({"excluded_variants": "test"}, "excluded_variants must be a list of strings"),
    ({"excluded_variants": [1]}, "excluded_variants must be a list of strings"),
]


@pytest.mark.parametrize(("sent", "detail"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_value__is_refused_at_parameters(experiments: Experiments, sent: Any, detail: str) -> None:
    before = everything()
    experiments.refused(experiments.try_new(parameters=sent), detail, attr="parameters")
    assert everything() == before

    made = experiments.running()
    experiments.refused(experiments.patch(made["id"], {"parameters": sent}), detail, attr="parameters")


def test_null_values__are_valid(experiments: Experiments) -> None:
    nulls = {
        "rollout_percentage": None,
        "aggregation_group_type_index": None,
        "ensure_experience_continuity": None,
        "custom_exposure_filter": None,
        "own": None,
    }

    assert experiments.made(parameters=nulls)["parameters"] == {"feature_flag_variants": DEFAULTS, **nulls}


def test_numbers_and_order_of_keys__come_back_as_sent(experiments: Experiments) -> None:
    answer = experiments.client.post(
        experiments.base,
        data='{"name":"n","feature_flag_key":"k","parameters":{"z":1.0,"a":[1,1.50],"m":123456789012345678901234567890}}',
        content_type="application/json",
    )

    assert answer.status_code == 201
    assert b'"parameters":{"z":1.0,"a":[1,1.5],"m":123456789012345678901234567890,' in answer.content


def test_payloads__are_stored_as_json_texts(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_payloads": {"test": {"b": 1.0}, "control": '"x"'}})

    assert made["parameters"]["feature_flag_payloads"] == {"test": '{"b":1.0}', "control": '"x"'}


# The keys of the calculator and excluded variants live in fields of their own.


def test_calculator_keys__are_kept_in_their_field_and_repeated_on_reading(experiments: Experiments) -> None:
    sent = {
        "minimum_detectable_effect": 5,
        "recommended_running_time": 12.5,
        "recommended_sample_size": None,
        "exposure_estimate_config": {"own": 1},
    }
    made = experiments.made(parameters={"own": 1, **sent})

    assert made["running_time_calculation"] == sent
    assert made["parameters"] == {"feature_flag_variants": DEFAULTS, "own": 1, **sent}
    assert Experiment.objects.get().parameters == {"own": 1}


def test_calculator_keys_in_parameters__set_the_field_key_by_key(experiments: Experiments) -> None:
    made = experiments.made(running_time_calculation={"minimum_detectable_effect": 5, "recommended_running_time": 1})
    changed = experiments.changed(made["id"], parameters={"recommended_running_time": 2})
    assert changed["running_time_calculation"] == {"minimum_detectable_effect": 5, "recommended_running_time": 2}

    absent = experiments.changed(made["id"], parameters={"own": 1})
    assert absent["running_time_calculation"] == changed["running_time_calculation"]
    assert absent["parameters"]["minimum_detectable_effect"] == 5


def test_top_level_calculation__wins_over_parameters_and_replaces(experiments: Experiments) -> None:
    made = experiments.made(
        parameters={"minimum_detectable_effect": 5, "recommended_running_time": 1},
        running_time_calculation={"minimum_detectable_effect": 7},
    )
    assert made["running_time_calculation"] == {"minimum_detectable_effect": 7}
    assert "recommended_running_time" not in made["parameters"]

    changed = experiments.changed(
        made["id"], parameters={"minimum_detectable_effect": 1}, running_time_calculation=None
    )
    assert changed["running_time_calculation"] == {}
    assert "minimum_detectable_effect" not in changed["parameters"]


def test_excluded_variants_in_parameters__set_their_field(experiments: Experiments) -> None:
    three = {"feature_flag_variants": variants(20, 30, 50)}
    made = experiments.made(parameters={**three, "excluded_variants": ["third", "third"]})
    assert (made["excluded_variants"], made["parameters"]["excluded_variants"]) == (["third"], ["third"])

    untouched = experiments.changed(made["id"], parameters=three)
    assert untouched["excluded_variants"] == ["third"]
    top_wins = experiments.changed(
        made["id"], parameters={**three, "excluded_variants": ["third"]}, excluded_variants=["test"]
    )
    assert top_wins["excluded_variants"] == ["test"]
    cleared = experiments.changed(made["id"], parameters={**three, "excluded_variants": None})
    assert cleared["excluded_variants"] == []
    assert "excluded_variants" not in cleared["parameters"]


def test_top_level_fields__show_in_parameters(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 30, 50)})
    changed = experiments.changed(
        made["id"], excluded_variants=["third"], running_time_calculation={"recommended_sample_size": 9}
    )

    assert changed["parameters"]["excluded_variants"] == ["third"]
    assert changed["parameters"]["recommended_sample_size"] == 9
    assert experiments.names() == ["Blue button"]
    assert experiments.list().json()["results"][0]["parameters"] == changed["parameters"]


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ([], "running_time_calculation must be an object"),
        ({"zebra": 1, "ant": 2}, "running_time_calculation got unknown keys: ['ant', 'zebra']"),
        ({"minimum_detectable_effect": "5"}, "minimum_detectable_effect must be a number"),
        ({"recommended_running_time": False}, "recommended_running_time must be a number"),
        ({"recommended_sample_size": {}}, "recommended_sample_size must be a number"),
        ({"exposure_estimate_config": []}, "exposure_estimate_config must be an object"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_wrong_calculation__is_refused_at_its_field(experiments: Experiments, sent: Any, detail: str) -> None:
    experiments.refused(experiments.try_new(running_time_calculation=sent), detail, attr="running_time_calculation")


# Read form


def test_aggregation__is_the_stored_one_else_the_flags(experiments: Experiments, owner_api: Any) -> None:
    made = experiments.made(feature_flag={"filters": {"aggregation_group_type_index": 3}})
    assert made["parameters"]["aggregation_group_type_index"] == 3
    assert "aggregation_group_type_index" not in Experiment.objects.get().parameters

    assert "aggregation_group_type_index" not in experiments.made(feature_flag_key="k")["parameters"]


def test_variants__are_the_stored_ones_else_the_flags(experiments: Experiments) -> None:
    made = experiments.running()
    changed = experiments.changed(made["id"], parameters={"feature_flag_variants": variants(1, 2)})
    assert [variant["split_percent"] for variant in changed["parameters"]["feature_flag_variants"]] == [1, 2]

    again = experiments.changed(made["id"], parameters={})
    assert again["parameters"]["feature_flag_variants"] == DEFAULTS
    assert flag_of(again).version == 1


def test_parameters_of_a_draft__that_drop_the_variants__leave_those_of_the_flag(experiments: Experiments) -> None:
    made = experiments.made(parameters={"feature_flag_variants": variants(20, 30, 50), "rollout_percentage": 5})
    changed = experiments.changed(made["id"], parameters={"own": 1})

    assert len(changed["feature_flag"]["filters"]["multivariate"]["variants"]) == 3
    assert changed["feature_flag"]["filters"]["groups"][0]["rollout_percentage"] == 5
    assert [variant["key"] for variant in changed["parameters"]["feature_flag_variants"]] == [
        *("control", "test", "third")
    ]
    assert "rollout_percentage" not in changed["parameters"]
