"""The documented test vectors, every one but those of methods that do not exist yet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stats import cuped, effects, multiplicity, power, srm
from stats.analysis import compare
from stats.bayesian import BayesianTest, Posterior, Prior
from stats.frequentist import WelchTest
from stats.results import BayesianResult, FrequentistResult, InvalidParameter, Undetermined
from stats.samples import MeanSample, RatioSample
from stats.sequential import SequentialTest, mixture_rho
from stats.validation import arm_failures
from tests.stats import test_cuped, test_sequential
from tests.stats.arms import moments_from, sample_from

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases" / "stats.json").read_text())["vectors"]
CURRENT = [case for case in CASES if case.get("scope") != "later"]

Inputs = dict[str, Any]


def moments(given: Inputs) -> dict[str, Any]:
    sample = sample_from(given["arm"])
    found = sample.moments()
    if isinstance(sample, RatioSample):
        answer: dict[str, Any] = {"mean": sample.ratio(), "covariance": sample.covariance()}
        if isinstance(found, Undetermined):
            return {**answer, "undetermined": found.reason}
        return {**answer, "variance": found.variance}
    if isinstance(found, Undetermined):
        return {"undetermined": found.reason}
    return {"mean": found.mean, "variance": found.variance}


def from_values(given: Inputs) -> dict[str, Any]:
    arm = cuped.linear(MeanSample.from_values(given["y"], covariate=given["x"]))
    assert isinstance(arm, cuped.Linear)
    return {"mean": arm.outcome.mean, "variance": arm.outcome.variance, "covariance": arm.covariance}


def inference(given: Inputs, test: WelchTest | SequentialTest | BayesianTest) -> dict[str, Any]:
    result = compare(
        treatment=sample_from(given["treatment"]),
        baseline=sample_from(given["baseline"]),
        test=test,
        difference_type=given["difference_type"],
    )
    assert not isinstance(result, Undetermined), result
    return fields(result)


def fields(result: FrequentistResult | BayesianResult) -> dict[str, Any]:
    shared = {
        "effect": result.effect,
        "standard_error": result.standard_error,
        "significant": result.significant,
    }
    if isinstance(result, FrequentistResult):
        return {
            **shared,
            "degrees_of_freedom": result.degrees_of_freedom,
            "p_value": result.p_value,
            "confidence_interval": list(result.confidence_interval),
        }
    return {
        **shared,
        "chance_to_win": result.chance_to_win,
        "credible_interval": list(result.credible_interval),
        "expected_loss": {"treatment": result.expected_loss.treatment, "control": result.expected_loss.control},
    }


def welch(given: Inputs) -> dict[str, Any]:
    return inference(given, WelchTest(alpha=given["alpha"]))


def sequential(given: Inputs) -> dict[str, Any]:
    return inference(given, SequentialTest(alpha=given["alpha"], tuning_parameter=given["tuning_parameter"]))


def bayesian(given: Inputs) -> dict[str, Any]:
    prior = Prior(**given["prior"]) if "prior" in given else None
    return inference(given, BayesianTest(ci_level=given["ci_level"], prior=prior))


def bayesian_loss(given: Inputs) -> dict[str, Any]:
    posterior = Posterior(mean=given["posterior_mean"], standard_deviation=given["posterior_standard_deviation"])
    loss = posterior.expected_loss()
    return {
        "chance_to_win": posterior.chance_to_win,
        "expected_loss": {"treatment": loss.treatment, "control": loss.control},
    }


def rho(given: Inputs) -> dict[str, Any]:
    try:
        return {"rho": mixture_rho(**given)}
    except InvalidParameter:
        return {"error": True}


def half_widths(given: Inputs) -> dict[str, Any]:
    widths = []
    for tuning_parameter in given["tuning_parameters"]:
        low, high = sequential({**given, "tuning_parameter": tuning_parameter})["confidence_interval"]
        widths.append((high - low) / 2)
    return {"half_widths": widths, "strictly_decreasing": widths == sorted(set(widths), reverse=True)}


def relative_effect(given: Inputs) -> dict[str, Any]:
    return {"effect": effects.relative_effect(**given)}


def effect_variance(given: Inputs) -> dict[str, Any]:
    arms = {"treatment": moments_from(given["treatment"]), "baseline": moments_from(given["baseline"])}
    return {"absolute": effects.absolute_variance(**arms), "relative": effects.relative_variance(**arms)}


def cuped_arm(given: Inputs) -> dict[str, Any]:
    arm = cuped.linear(sample_from(given["arm"]))
    assert isinstance(arm, cuped.Linear)
    theta = given["theta"]
    return {
        "covariance": arm.covariance,
        "adjusted_mean": arm.adjusted_mean(theta),
        "adjusted_variance": arm.adjusted_variance(theta),
    }


def cuped_pair(given: Inputs) -> cuped.Adjustment:
    pair = cuped.adjust(treatment=sample_from(given["treatment"]), baseline=sample_from(given["baseline"]))
    assert isinstance(pair, cuped.Adjustment)
    return pair


def cuped_theta(given: Inputs) -> dict[str, Any]:
    return {"theta": cuped_pair(given).theta}


def cuped_frequentist(given: Inputs) -> dict[str, Any]:
    pair = cuped_pair(given)
    arms = {"baseline": pair.baseline, "treatment": pair.treatment}
    return {
        **welch(given),
        "theta": pair.theta,
        "adjusted_mean": {name: arm.adjusted_mean(pair.theta) for name, arm in arms.items()},
        "adjusted_variance": {name: arm.adjusted_variance(pair.theta) for name, arm in arms.items()},
        "variance_reduction": {name: arm.variance_reduction(pair.theta) for name, arm in arms.items()},
    }


def cuped_ratio(given: Inputs) -> dict[str, Any]:
    if "theta" not in given:
        return cuped_frequentist(given)
    delta = cuped.adjusted_difference(
        treatment=sample_from(given["treatment"]),
        baseline=sample_from(given["baseline"]),
        difference_type=given["difference_type"],
        theta=given["theta"],
    )
    assert isinstance(delta, effects.Difference)
    return {"effect": delta.effect, "standard_error": delta.standard_error}


def chi_square(given: Inputs) -> dict[str, Any]:
    answer = srm.chi_square_test(**given)
    return {"chi_square": answer.chi_square, "p_value": answer.p_value, "expected": answer.expected}


def srm_report(given: Inputs) -> dict[str, Any]:
    return {"sample_ratio_mismatch": srm.sample_ratio_mismatch(**given)}


def bias_risk(given: Inputs) -> dict[str, Any]:
    risk = srm.bias_risk(
        units_per_arm=given["exposures"],
        multiple_variant_units=given["multiple"],
        percentages=given["percentages"],
        is_running=given["running"],
        handling=given["handling"],
    )
    if risk is None:
        return {"bias_risk": None}
    return {"multiple_variant_percentage": risk.multiple_variant_percentage}


def validation(given: Inputs) -> dict[str, Any]:
    kind = {"retention": "ratio", "funnel": "proportion"}.get(given["metric_type"], given["metric_type"])
    failures = arm_failures(
        sample=sample_from({"type": kind, **given["arm"]}),
        metric_type=given["metric_type"],
        is_baseline=given["is_baseline"],
        test=WelchTest(),
        difference_type="RELATIVE",
    )
    return {"validation_failures": list(failures)}


def holm(given: Inputs) -> dict[str, Any]:
    return {"adjusted": list(multiplicity.holm(given["p_values"]))}


def benjamini_hochberg(given: Inputs) -> dict[str, Any]:
    return {"adjusted": list(multiplicity.benjamini_hochberg(given["p_values"]))}


def adjusted_interval(given: Inputs) -> dict[str, Any]:
    """The vector holds for every number of degrees of freedom: many are tried, and have to agree."""
    answers = [multiplicity.adjusted_interval(degrees_of_freedom=df, **given) for df in (4.0, 10.5, 98.0, 1e4, 1e7)]
    first = answers[0]
    assert first is not None
    assert all(answer == pytest.approx(first, abs=1e-7) for answer in answers)
    return {"confidence_interval": list(first)}


def fixed_power(given: Inputs) -> dict[str, Any]:
    arms = {"n_treatment": given["n_per_arm"], "n_baseline": given["n_per_arm"]}
    rest = {name: given[name] for name in ("mean", "variance", "effect", "alpha")}
    return {"power": power.power(**arms, **rest)}


def detectable_effect(given: Inputs) -> dict[str, Any]:
    return {"minimum_detectable_effect": power.minimum_detectable_effect(**given)}


def running_time(given: Inputs) -> dict[str, Any]:
    plan = power.running_time(
        metric_type=given["metric_type"],
        value=given["baseline_value"],
        minimum_detectable_effect=given["minimum_detectable_effect"],
        number_of_variants=given["number_of_variants"],
    )
    return {"recommended_sample_size": plan.recommended_sample_size}


METHODS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "sample.moments": moments,
    "sample.from_values": from_values,
    "effect.relative": relative_effect,
    "effect.variance": effect_variance,
    "frequentist.two_sided": welch,
    "sequential.rho": rho,
    "sequential.two_sided": sequential,
    "sequential.half_widths": half_widths,
    "bayesian": bayesian,
    "bayesian.loss": bayesian_loss,
    "cuped.arm": cuped_arm,
    "cuped.theta": cuped_theta,
    "cuped.frequentist": cuped_frequentist,
    "cuped.bayesian": bayesian,
    "cuped.sequential": sequential,
    "cuped.ratio": cuped_ratio,
    "cuped.ratio_sequential": sequential,
    "srm.chi_square": chi_square,
    "srm.report": srm_report,
    "bias_risk": bias_risk,
    "validation": validation,
    "multiplicity.holm": holm,
    "multiplicity.benjamini_hochberg": benjamini_hochberg,
    "multiplicity.interval": adjusted_interval,
    "power.fixed": fixed_power,
    "power.mde": detectable_effect,
    "power.running_time": running_time,
}

PROPERTIES: dict[str, Callable[[], None]] = {
    "O-S13a": test_sequential.test_interval__any_arms__contains_zero_exactly_when_p_exceeds_alpha,
    "O-S13b": test_sequential.test_p_value__any_arms__is_never_below_the_fixed_horizon_one,
    "O-S13c": test_sequential.test_interval__any_arms__is_wider_than_the_fixed_horizon_one,
    "O-C12a": test_cuped.test_zero_theta__any_arms__answers_the_plain_test_bit_for_bit,
    "O-C12b": test_cuped.test_covariate_shift__any_arms__changes_nothing,
}


@pytest.mark.parametrize(
    "case", [case for case in CURRENT if case["method"] != "property"], ids=lambda case: case["id"]
)
def test_vector__documented_input__gives_documented_answer(case: dict[str, Any]) -> None:
    actual = METHODS[case["method"]](case["input"])

    assert_within(actual=actual, expected=case["expected"], **tolerance_of(case))


@pytest.mark.parametrize(
    "case", [case for case in CURRENT if case["method"] == "property"], ids=lambda case: case["id"]
)
def test_vector__documented_property__holds_for_generated_arms(case: dict[str, Any]) -> None:
    PROPERTIES[case["id"]]()


def test_vectors__methods_of_the_file__are_all_run_or_marked_as_later() -> None:
    assert {case["method"] for case in CURRENT} == METHODS.keys() | {"property"}
    assert {case["id"] for case in CURRENT if case["method"] == "property"} == PROPERTIES.keys()
    assert len(CURRENT) == 113


def assert_within(*, actual: Any, expected: Any, rel: float, abs: float) -> None:
    """Compare the keys of `expected`: numbers within max(abs, rel·|expected|), every other kind exactly."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in actual, key
            assert_within(actual=actual[key], expected=value, rel=rel, abs=abs)
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_within(actual=one, expected=other, rel=rel, abs=abs)
    elif isinstance(expected, bool) or not isinstance(expected, int | float):
        assert actual == expected
    else:
        assert actual == pytest.approx(expected, rel=rel, abs=abs)


@pytest.mark.parametrize(
    "case", [case for case in CURRENT if case["method"] != "property"], ids=lambda case: case["id"]
)
def test_vector__every_expected_number__is_compared(case: dict[str, Any]) -> None:
    """An answer with any one of its numbers put off does not pass."""
    actual = METHODS[case["method"]](case["input"])
    for path in leaves(case["expected"]):
        with pytest.raises(AssertionError):
            assert_within(actual=disturbed(actual, path), expected=case["expected"], **tolerance_of(case))


def tolerance_of(case: dict[str, Any]) -> dict[str, float]:
    """What the vector allows, but never more than the sixth digit."""
    allowed: dict[str, float] = case["tolerance"]
    return {**allowed, "rel": min(allowed["rel"], 1e-6)}


def leaves(value: Any) -> list[tuple[Any, ...]]:
    """The paths of everything that is neither a dict nor a list."""
    if isinstance(value, dict):
        return [(key, *path) for key, part in value.items() for path in leaves(part)]
    if isinstance(value, list):
        return [(index, *path) for index, part in enumerate(value) for path in leaves(part)]
    return [()]


def disturbed(value: Any, path: tuple[Any, ...]) -> Any:
    """The answer with the leaf at `path` changed by more than any tolerance."""
    if not path:
        return value * 1.001 + 0.001 if isinstance(value, float | int) and not isinstance(value, bool) else object()
    parts = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    parts[path[0]] = disturbed(parts[path[0]], path[1:])
    return parts if isinstance(value, dict) else list(parts.values())
