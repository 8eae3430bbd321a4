"""`excluded_variants`: which variants the analysis may leave out."""

from typing import Any

import pytest

from tests.experiments.conftest import Experiments, everything, variants

THREE = {"feature_flag_variants": variants(20, 30, 50)}
WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("test", {}, "excluded_variants must be a list of strings"),
    ({}, {}, "excluded_variants must be a list of strings"),
    (["test", None], {}, "excluded_variants must be a list of strings"),
    ([["test"]], {}, "excluded_variants must be a list of strings"),
    (
        ["holdout-2", "nobody", "holdout-10", "control"],
        {},
        "cannot exclude holdout pseudo-variants: ['holdout-10', 'holdout-2']",
    ),
    (["nobody", "control"], {}, "baseline variant cannot be excluded ('control')"),
    (["test"], {"baseline_variant_key": "test"}, "baseline variant cannot be excluded ('test')"),
    (["zebra", "test", "ant"], {}, "unknown variants for this experiment: ['ant', 'zebra']"),
    (["test", "third"], {}, "at least one test variant must remain in analysis"),
    (["control", "third"], {"baseline_variant_key": "test"}, "at least one test variant must remain in analysis"),
]


@pytest.mark.parametrize("state", ["new", "draft", "running", "stopped"])
@pytest.mark.parametrize(("sent", "config", "detail"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_value__is_refused_at_its_field(
    experiments: Experiments, state: str, sent: Any, config: dict[str, Any], detail: str
) -> None:
    makers = {"new": experiments.made, "draft": experiments.made, "running": experiments.running}
    made = makers.get(state, experiments.stopped)(parameters=THREE, stats_config=config)
    before = everything()
    if state == "new":
        answer = experiments.try_new(
            feature_flag_key="k", parameters=THREE, stats_config=config, excluded_variants=sent
        )
    else:
        answer = experiments.patch(made["id"], {"excluded_variants": sent})

    experiments.refused(answer, detail, attr="excluded_variants")
    assert everything() == before


def test_inside_parameters__rules_of_the_variants_are_told_of_the_field(experiments: Experiments) -> None:
    experiments.refused(
        experiments.try_new(parameters={**THREE, "excluded_variants": ["control"]}),
        "baseline variant cannot be excluded ('control')",
        attr="excluded_variants",
    )


def test_repeats__are_dropped(experiments: Experiments) -> None:
    assert experiments.made(parameters=THREE, excluded_variants=["third", "third"])["excluded_variants"] == ["third"]


def test_control__may_be_excluded_when_it_is_not_the_baseline(experiments: Experiments) -> None:
    made = experiments.made(
        parameters=THREE, excluded_variants=["control"], stats_config={"baseline_variant_key": "test"}
    )

    assert made["excluded_variants"] == ["control"]


def test_baseline_moved_onto_an_excluded_variant__is_refused(experiments: Experiments) -> None:
    made = experiments.made(parameters=THREE, excluded_variants=["third"])

    experiments.refused(
        experiments.patch(made["id"], {"stats_config": {"baseline_variant_key": "third"}}),
        "baseline variant cannot be excluded ('third')",
        attr="excluded_variants",
    )


def test_exclusion__changes_every_fingerprint(experiments: Experiments) -> None:
    metric = {"kind": "ExperimentMetric", "metric_type": "mean", "source": {"kind": "EventsNode", "event": "e"}}
    made = experiments.made(parameters=THREE, metrics=[metric])
    changed = experiments.changed(made["id"], excluded_variants=["third"])

    assert changed["metrics"][0]["fingerprint"] != made["metrics"][0]["fingerprint"]
    restored = experiments.changed(made["id"], excluded_variants=[])
    assert restored["metrics"] == made["metrics"]
