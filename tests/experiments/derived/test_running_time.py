"""POST experiments/calculate_running_time/."""

from typing import Any

import pytest

from tests.cast import ClientFor
from tests.experiments.conftest import Experiments, everything

COUNT = {"metric_type": "mean_count", "minimum_detectable_effect": 5, "baseline_value": 4}


def calculate(experiments: Experiments, **body: Any) -> Any:
    return experiments.post(body, "calculate_running_time")


def plan(experiments: Experiments, **body: Any) -> dict[str, Any]:
    answer = calculate(experiments, **body)
    assert answer.status_code == 200, answer.json()
    planned: dict[str, Any] = answer.json()
    return planned


@pytest.mark.parametrize(
    ("metric_type", "baseline", "effect", "size"),
    [("mean_count", 4, 5, 6400), ("mean_sum_or_avg", 50, 5, 3200), ("funnel", 0.1, 50, 1152)],
)
def test_plan__documented_sizes(
    experiments: Experiments, metric_type: str, baseline: float, effect: float, size: int
) -> None:
    planned = plan(experiments, metric_type=metric_type, minimum_detectable_effect=effect, baseline_value=baseline)
    assert planned["recommended_sample_size"] == size
    assert planned["recommended_running_time_days"] is None
    assert planned["mde_by_week"] is None


def test_plan__with_traffic__tells_days_and_twelve_weeks(experiments: Experiments) -> None:
    planned = plan(experiments, **COUNT, exposure_rate_per_day=100)
    assert planned["recommended_running_time_days"] == 64
    assert [week["week"] for week in planned["mde_by_week"]] == list(range(1, 13))
    assert planned["mde_by_week"][0]["sample_size"] == 700


def test_plan__no_traffic__tells_no_days(experiments: Experiments) -> None:
    planned = plan(experiments, **COUNT, exposure_rate_per_day=0)
    assert (planned["recommended_running_time_days"], planned["mde_by_week"]) == (None, None)


def test_plan__three_variants__need_half_as_many_again(experiments: Experiments) -> None:
    assert plan(experiments, **COUNT, number_of_variants=3)["recommended_sample_size"] == 9600


def test_plan__baseline_from_sums(experiments: Experiments) -> None:
    sums = {"number_of_samples": 100, "sum": 400}
    planned = plan(experiments, metric_type="mean_count", minimum_detectable_effect=5, baseline_stats=sums)
    assert (planned["baseline_value"], planned["variance"]) == (4, 8)


def test_plan__funnel_from_step_counts__takes_the_last(experiments: Experiments) -> None:
    sums = {"number_of_samples": 100, "step_counts": [60, 20, 10]}
    planned = plan(experiments, metric_type="funnel", minimum_detectable_effect=50, baseline_stats=sums)
    assert planned["baseline_value"] == 0.1


def test_plan__nobody_yet__tells_nothing(experiments: Experiments) -> None:
    sums = {"number_of_samples": 0}
    planned = plan(experiments, metric_type="mean_count", minimum_detectable_effect=5, baseline_stats=sums)
    assert set(planned.values()) == {None}


def test_plan__tiny_baseline__is_no_error(experiments: Experiments) -> None:
    planned = plan(experiments, metric_type="mean_count", minimum_detectable_effect=1e-300, baseline_value=1e-300)
    assert planned["recommended_sample_size"] is None


@pytest.mark.parametrize(
    ("body", "attr", "detail"),
    [
        ({**COUNT, "minimum_detectable_effect": 0}, "minimum_detectable_effect", "Must be greater than 0."),
        (
            {"metric_type": "mean_count", "minimum_detectable_effect": 5},
            None,
            "Provide either baseline_value or baseline_stats.",
        ),
        (
            {"metric_type": "funnel", "minimum_detectable_effect": 5, "baseline_value": 1.5},
            "baseline_value",
            "baseline_value must be between 0 and 1 for funnel metrics.",
        ),
        (
            {"metric_type": "ratio", "minimum_detectable_effect": 5, "baseline_value": 1},
            None,
            "Ratio and retention metrics require baseline_stats, or both baseline_value and variance.",
        ),
        (
            {
                "metric_type": "retention",
                "minimum_detectable_effect": 5,
                "baseline_stats": {"number_of_samples": 5, "sum": 2, "denominator_sum": 0},
            },
            "baseline_stats__denominator_sum",
            "Required to size ratio and retention metrics.",
        ),
    ],
)
def test_plan__refusals(experiments: Experiments, body: dict[str, Any], attr: str | None, detail: str) -> None:
    experiments.refused(calculate(experiments, **body), detail, attr=attr)


def test_plan__unknown_metric_type__is_no_choice(experiments: Experiments) -> None:
    answer = calculate(experiments, **{**COUNT, "metric_type": "median"})
    experiments.refused(answer, '"median" is not a valid choice.', attr="metric_type", code="invalid_choice")


def test_plan__negative_sums__name_their_path(experiments: Experiments) -> None:
    answer = calculate(
        experiments,
        metric_type="mean_count",
        minimum_detectable_effect=5,
        baseline_stats={"number_of_samples": -1},
    )
    experiments.refused(
        answer,
        "Ensure this value is greater than or equal to 0.",
        attr="baseline_stats__number_of_samples",
        code="min_value",
    )


def test_plan__read_scope__suffices_and_nothing_is_written(
    experiments: Experiments, client_for: ClientFor, member: Any
) -> None:
    reader = Experiments(client_for(member, ["experiment:read"]), experiments.project)
    before = everything()
    assert calculate(reader, **COUNT).status_code == 200
    assert everything() == before
