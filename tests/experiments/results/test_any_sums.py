"""From whatever sums a store may hand out to the JSON that clients read: finite numbers, or null with a code."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.rendering import DocumentRenderer
from events.store.measures import Sums
from experiments.results import report
from stats.results import Reason
from tests.experiments.results.sums import NOW, VARIANTS, cut_of, experiment_with
from tests.stats.arms import any_float

Json = dict[str, Any]
CODES = set(get_args(Reason))
PURCHASE: Json = {"kind": "EventsNode", "event": "purchase"}
AMOUNT: Json = {**PURCHASE, "math": "sum", "math_property": "amount"}
METRICS: dict[str, Json] = {
    "mean": {"metric_type": "mean", "source": AMOUNT},
    "threshold": {"metric_type": "mean", "source": PURCHASE, "threshold": 2},
    "funnel": {"metric_type": "funnel", "series": [PURCHASE, PURCHASE]},
    "strict funnel": {"metric_type": "funnel", "series": [PURCHASE], "funnel_order_type": "strict"},
    "ratio": {"metric_type": "ratio", "numerator": AMOUNT, "denominator": PURCHASE},
    "retention": {
        "metric_type": "retention",
        "start_event": PURCHASE,
        "completion_event": PURCHASE,
        "retention_window_start": 1,
        "retention_window_end": 7,
        "retention_window_unit": "day",
        "start_handling": "first_seen",
    },
}
MAIN = {
    "frequentist": ("effect", "standard_error", "p_value", "confidence_interval", "significant"),
    "bayesian": ("effect", "standard_error", "chance_to_win", "credible_interval", "expected_loss", "significant"),
}


@st.composite
def any_sums(draw: st.DrawFn) -> Sums:
    """Sums of real units, of units with extreme values, or numbers that no units have."""
    if draw(st.booleans()):
        return _of_units(draw)
    names = ("s", "q", "d", "dd", "sd", "x", "xx", "xy", "dx", "dxdx", "d_dx", "x_dx", "s_dx", "d_x")
    n = draw(st.one_of(st.integers(0, 120), st.integers(50, 10**12)))
    return Sums(n=n, step_counts=draw(st.sampled_from([[0, 0], [n, n], [n, 3]])), **{k: draw(any_float) for k in names})


def _of_units(draw: st.DrawFn) -> Sums:
    """Few different units, each many times: their sums are true whatever the size of the values."""
    values = st.one_of(st.integers(-3, 9).map(float), st.floats(-1e9, 1e9), st.sampled_from([0.0, 1.0, 1e-12, 1e14]))
    units = draw(st.lists(st.tuples(values, values, values, values), min_size=1, max_size=4))
    times = draw(st.sampled_from([1, 20, 60, 5000]))

    def total(*columns: int) -> float:
        return times * math.fsum(math.prod(unit[column] for column in columns) for unit in units)

    y, d, x, dx = range(4)
    return Sums(
        n=times * len(units),
        s=total(y), q=total(y, y), d=total(d), dd=total(d, d), sd=total(y, d),
        x=total(x), xx=total(x, x), xy=total(x, y), dx=total(dx), dxdx=total(dx, dx),
        d_dx=total(d, dx), x_dx=total(x, dx), s_dx=total(y, dx), d_x=total(d, x),
        step_counts=[times, 0],
    )  # fmt: skip


configs = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["frequentist", "bayesian"]),
        "multiplicity": st.sampled_from(["none", "holm", "benjamini_hochberg"]),
        "cuped": st.fixed_dictionaries({"enabled": st.booleans()}),
        "frequentist": st.fixed_dictionaries(
            {
                "alpha": st.sampled_from([0.05, 1e-300, 1 - 1e-16]),
                "difference_type": st.sampled_from(["RELATIVE", "ABSOLUTE"]),
                "sequential_testing_enabled": st.booleans(),
                "sequential_tuning_parameter": st.sampled_from([1, 5000, 1e9]),
            }
        ),
        "bayesian": st.fixed_dictionaries(
            {
                "ci_level": st.sampled_from([0.95, 1e-300, 1 - 1e-16]),
                "difference_type": st.sampled_from(["RELATIVE", "ABSOLUTE"]),
                "prior": st.none()
                | st.fixed_dictionaries(
                    {
                        "mean": st.sampled_from([0.0, -0.1, 1e300]),
                        "variance": st.sampled_from([0.01, 5e-324, 1e-300, 1e300]),
                    }
                ),
            }
        ),
    }
)


def answer_from(kind: str, arms: Mapping[str, Sums | None], config: Json) -> Json:
    """The results answer about one metric for those sums."""
    document = {**METRICS[kind], "kind": "ExperimentMetric", "uuid": "m", "goal": "decrease"}
    document["breakdownFilter"] = {"breakdowns": [{"property": "$browser", "type": "event"}]}
    experiment = experiment_with(weights=(100 / 3,) * 3, metrics=[document], stats_config=config)
    seen = {key: sums for key, sums in arms.items() if sums is not None}
    return report.results_answer(experiment, cut_of(experiment, seen, document=document), computed_at=NOW)


def numbers(value: Any) -> Iterator[float]:
    """All floats of an answer."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, float):
        yield value


def check_missing(baseline: Json, treatment: Json, config: Json) -> None:
    """Every statistic is there, or none of them and a code says why."""
    names = MAIN[config["method"]]
    absent = [name for name in names if treatment[name] is None]
    codes = [*treatment["validation_failures"], *baseline["validation_failures"]]
    assert set(codes) <= CODES
    if absent:
        assert absent == list(names)
        assert codes
        assert treatment["favourable"] is None
        assert treatment["interval_excludes_zero"] is None
        assert treatment.get("p_value_adjusted") is None
        return
    assert not codes
    assert isinstance(treatment["interval_excludes_zero"], bool)
    assert (treatment["favourable"] is None) is (not treatment["significant"])
    if config["method"] == "frequentist":
        assert (treatment["degrees_of_freedom"] is None) is config["frequentist"]["sequential_testing_enabled"]


def check_answer(kind: str, arms: list[Sums | None], config: Json) -> None:
    """Nothing in the answer but finite numbers, and a code for everything that is not there."""
    body = answer_from(kind, dict(zip(VARIANTS, arms, strict=True)), config)
    (shown,) = body["metrics"]
    result = shown["result"]

    assert all(math.isfinite(number) for number in numbers(body))
    for treatment in result["variant_results"]:
        check_missing(result["baseline"], treatment, config)
        assert ("covariate_sum" in treatment) is ("covariate_sum" in result["baseline"])
    for value in result["breakdown_results"]:
        for treatment in value["variants"]:
            check_missing(value["baseline"], treatment, config)
    rendered = json.loads(DocumentRenderer().render(body), parse_constant=pytest.fail)
    assert rendered["metrics"][0]["result"]["baseline"]["number_of_samples"] == (arms[0].n if arms[0] else 0)


any_answer = given(
    kind=st.sampled_from(sorted(METRICS)),
    arms=st.lists(st.none() | any_sums(), min_size=3, max_size=3),
    config=configs,
)


@settings(deadline=None, max_examples=150)
@any_answer
def test_results_answer__any_sums__has_finite_numbers_or_null_with_a_code(
    kind: str, arms: list[Sums | None], config: Json
) -> None:
    check_answer(kind, arms, config)


@pytest.mark.slow
@settings(deadline=None, max_examples=5000)
@any_answer
def test_results_answer__very_many_sums__has_finite_numbers_or_null_with_a_code(
    kind: str, arms: list[Sums | None], config: Json
) -> None:
    check_answer(kind, arms, config)


def test_results_answer__ci_level_next_to_nothing__is_answered() -> None:
    """1 - ci_level is 1 in doubles, which is no error rate; the power of a metric asks for one."""
    arm = Sums(n=100, s=50, q=80)
    body = answer_from("mean", dict.fromkeys(VARIANTS, arm), {"method": "bayesian", "bayesian": {"ci_level": 1e-300}})

    assert body["metrics"][0]["result"]["variant_results"][0]["chance_to_win"] == 0.5
    assert body["health"] == []
