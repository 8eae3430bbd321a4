"""`stats_config`: its rules, and the project's defaults in a new experiment."""

from typing import Any

import pytest

from projects.models import Project
from tests.experiments.conftest import Experiments, everything, variants

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": "magic"}, "Invalid stats method: 'magic'. Must be one of: bayesian, frequentist"),
    ({"method": ""}, "Invalid stats method: ''. Must be one of: bayesian, frequentist"),
    ({"method": 5}, "Invalid stats method: '5'. Must be one of: bayesian, frequentist"),
    ({"method": ["bayesian"]}, "Invalid stats method: '['bayesian']'. Must be one of: bayesian, frequentist"),
    ({"multiplicity": "all"}, "Invalid multiplicity: 'all'. Must be one of: none, holm, benjamini_hochberg"),
    ({"multiplicity": {}}, "Invalid multiplicity: '{}'. Must be one of: none, holm, benjamini_hochberg"),
    (
        {"baseline_variant_key": "nobody"},
        "Invalid baseline_variant_key: 'nobody'. Must be one of: a_test, control, test",
    ),
    ({"baseline_variant_key": ""}, "Invalid baseline_variant_key: ''. Must be one of: a_test, control, test"),
    ({"baseline_variant_key": 5}, "Invalid baseline_variant_key: '5'. Must be one of: a_test, control, test"),
    (
        {"baseline_variant_key": "x", "multiplicity": "y", "method": "z"},
        "Invalid stats method: 'z'. Must be one of: bayesian, frequentist",
    ),
]
THREE = {"feature_flag_variants": variants(20, 30, 50, keys=("control", "test", "a_test"))}


@pytest.mark.parametrize("state", ["new", "draft", "running"])
@pytest.mark.parametrize(("config", "detail"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_value__is_refused_without_attr(
    experiments: Experiments, state: str, config: dict[str, Any], detail: str
) -> None:
    made = experiments.running(parameters=THREE) if state == "running" else experiments.made(parameters=THREE)
    before = everything()
    if state == "new":
        answer = experiments.try_new(feature_flag_key="other", parameters=THREE, stats_config=config)
    else:
        answer = experiments.patch(made["id"], {"stats_config": config})

    experiments.refused(answer, detail)
    assert everything() == before


@pytest.mark.parametrize(
    "config",
    [
        {"method": "frequentist"},
        {"multiplicity": "none"},
        {"multiplicity": "holm"},
        {"multiplicity": "benjamini_hochberg"},
        {"baseline_variant_key": "a_test"},
        {"baseline_variant_key": None, "multiplicity": None},
        {"bayesian": {"ci_level": 5}, "own": [1.0]},
    ],
    ids=str,
)
def test_value__is_stored_as_sent(experiments: Experiments, config: dict[str, Any]) -> None:
    made = experiments.made(parameters=THREE)

    assert experiments.changed(made["id"], stats_config=config)["stats_config"] == config


def test_stored_baseline_lost_to_the_flag__does_not_stand_in_the_way_of_other_changes(
    experiments: Experiments, owner_api: Any
) -> None:
    made = experiments.made(stats_config={"baseline_variant_key": "test"})
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{made['feature_flag']['id']}/"
    other = {"filters": {"multivariate": {"variants": variants(50, 50, keys=("control", "new"))}}}
    assert owner_api.patch(url, other).status_code == 200

    assert experiments.changed(made["id"], name="Green")["name"] == "Green"
    experiments.refused(
        experiments.patch(made["id"], {"excluded_variants": ["new"]}),
        "Invalid baseline_variant_key: 'test'. Must be one of: control, new",
    )


# Project defaults

BUILT_IN = {"method": "bayesian"}


def settings(project: Project, **values: Any) -> None:
    for name, value in values.items():
        setattr(project, name, value)
    project.save()


@pytest.mark.parametrize(
    ("defaults", "written"),
    [
        ({}, BUILT_IN),
        ({"default_experiment_stats_method": "frequentist"}, {"method": "frequentist"}),
        (
            {"default_experiment_confidence_level": 0.9},
            {**BUILT_IN, "bayesian": {"ci_level": 0.9}, "frequentist": {"alpha": 0.1}},
        ),
        (
            {"default_experiment_confidence_level": 0.99},
            {**BUILT_IN, "bayesian": {"ci_level": 0.99}, "frequentist": {"alpha": 0.01}},
        ),
        ({"default_experiment_confidence_level": 0.95}, BUILT_IN),
        ({"default_cuped_enabled": True}, {**BUILT_IN, "cuped": {"enabled": True}}),
        ({"default_cuped_lookback_days": 30}, {**BUILT_IN, "cuped": {"lookback_days": 30}}),
        (
            {"default_sequential_testing_enabled": True, "default_sequential_tuning_parameter": 100},
            {
                **BUILT_IN,
                "frequentist": {"sequential_testing_enabled": True, "sequential_tuning_parameter": 100},
            },
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("sent", [{}, {"stats_config": None}, {"stats_config": {}}], ids=str)
def test_create__project_defaults_other_than_the_built_in_ones__are_written(
    experiments: Experiments, project: Project, defaults: Any, written: Any, sent: Any
) -> None:
    settings(project, **defaults)

    assert experiments.made(**sent)["stats_config"] == written


def test_create__keys_that_were_sent__stay(experiments: Experiments, project: Project) -> None:
    settings(
        project,
        default_experiment_stats_method="frequentist",
        default_experiment_confidence_level=0.9,
        default_cuped_enabled=True,
        default_cuped_lookback_days=7,
        default_sequential_testing_enabled=True,
        default_sequential_tuning_parameter=100,
    )
    sent = {
        "method": "bayesian",
        "bayesian": {"ci_level": 0.5, "own": 1},
        "frequentist": {"alpha": 0.2, "sequential_testing_enabled": False},
        "cuped": {"enabled": False},
    }
    made = experiments.made(stats_config=sent)

    assert made["stats_config"] == {
        "method": "bayesian",
        "bayesian": {"ci_level": 0.5, "own": 1},
        "frequentist": {"alpha": 0.2, "sequential_testing_enabled": False, "sequential_tuning_parameter": 100},
        "cuped": {"enabled": False, "lookback_days": 7},
    }


def test_update__adds_no_defaults(experiments: Experiments, project: Project) -> None:
    made = experiments.made()
    settings(project, default_experiment_stats_method="frequentist", default_cuped_enabled=True)

    assert experiments.read(made["id"])["stats_config"] == BUILT_IN
    assert experiments.changed(made["id"], stats_config={"own": 1})["stats_config"] == {"own": 1}
    assert experiments.changed(made["id"], stats_config=None)["stats_config"] is None
