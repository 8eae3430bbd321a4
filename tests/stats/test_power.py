"""Planning figures: power and detectable effect are each other's inverse, sizes follow the documented arithmetic."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats import power
from stats.power import BaselineStats, SizedMetric
from stats.results import InvalidParameter

means = st.floats(0.01, 1000).flatmap(lambda mean: st.sampled_from([mean, -mean]))


@settings(deadline=None)
@given(mean=means, spread=st.floats(0.01, 5), n=st.integers(50, 10**7), wanted=st.floats(0.3, 0.99))
def test_detectable_effect__as_the_true_effect__is_found_with_the_wanted_power(
    mean: float, spread: float, n: int, wanted: float
) -> None:
    variance = (spread * mean) ** 2
    effect = power.minimum_detectable_effect(mean=mean, variance=variance, n_per_arm=n, power=wanted)
    if effect is None:
        return
    found = power.power(mean=mean, variance=variance, n_treatment=n, n_baseline=n, effect=effect)

    # The other side's tail, left out of the effect, adds its share: least at high power.
    assert found is not None
    assert wanted - 1e-9 <= found <= wanted + 0.005


def test_power__documented_example__is_reproduced() -> None:
    share = 87 / 1529
    found = power.power(mean=share, variance=share * (1 - share), n_treatment=1471, n_baseline=1529, effect=0.3)

    assert found == pytest.approx(0.4146447070, abs=1e-10)


def test_power__no_effect__is_alpha() -> None:
    assert power.power(mean=2, variance=3, n_treatment=500, n_baseline=700, effect=0, alpha=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "figures",
    [
        {"mean": 0.0, "variance": 1.0, "n_treatment": 10.0, "n_baseline": 10.0},
        {"mean": 1.0, "variance": -1.0, "n_treatment": 10.0, "n_baseline": 10.0},
        {"mean": 1.0, "variance": 0.0, "n_treatment": 10.0, "n_baseline": 10.0},
        {"mean": 1.0, "variance": float("nan"), "n_treatment": 10.0, "n_baseline": 10.0},
        {"mean": 1.0, "variance": 1.0, "n_treatment": 0.0, "n_baseline": 10.0},
        {"mean": 1e-200, "variance": 1.0, "n_treatment": 10.0, "n_baseline": 10.0},
    ],
    ids=str,
)
def test_power__nothing_can_be_told__is_unknown_not_zero(figures: dict[str, float]) -> None:
    assert power.power(effect=0.1, **figures) is None


@pytest.mark.parametrize(("n_per_arm", "is_known"), [(784, False), (786, True)])
def test_detectable_effect__too_few_units_for_any_effect__is_unknown(n_per_arm: float, is_known: bool) -> None:
    # c = 7.849·100/n reaches 1 between the two.
    effect = power.minimum_detectable_effect(mean=1, variance=100, n_per_arm=n_per_arm)

    assert (effect is not None) is is_known


@pytest.mark.parametrize(("mean", "variance", "n"), [(0, 1, 100), (1, -1, 100), (1, 1, 0), (1, float("inf"), 10)])
def test_detectable_effect__unusable_baseline__is_unknown(mean: float, variance: float, n: float) -> None:
    assert power.minimum_detectable_effect(mean=mean, variance=variance, n_per_arm=n) is None


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.05])
def test_power__alpha_outside_its_domain__is_refused(alpha: float) -> None:
    with pytest.raises(InvalidParameter):
        power.power(mean=1, variance=1, n_treatment=10, n_baseline=10, effect=0.1, alpha=alpha)
    with pytest.raises(InvalidParameter):
        power.minimum_detectable_effect(mean=1, variance=1, n_per_arm=10, alpha=alpha)


@pytest.mark.parametrize(
    ("metric_type", "value", "effect", "size"),
    [("mean_count", 4, 5, 6400), ("mean_sum_or_avg", 50, 5, 3200), ("funnel", 0.1, 50, 1152)],
)
def test_size__documented_example__is_reproduced(
    metric_type: SizedMetric, value: float, effect: float, size: int
) -> None:
    plan = power.running_time(metric_type=metric_type, minimum_detectable_effect=effect, value=value)

    assert plan.recommended_sample_size == size


def test_days__documented_example__is_reproduced() -> None:
    assert power.recommended_days(sample_size=6400, units_per_day=100) == 64
    assert power.recommended_days(sample_size=6401, units_per_day=100) == 65


@pytest.mark.parametrize(("size", "rate"), [(None, 100), (0, 100), (6400, None), (6400, 0)])
def test_days__size_or_rate_missing_or_zero__are_unknown(size: int | None, rate: float | None) -> None:
    assert power.recommended_days(sample_size=size, units_per_day=rate) is None


@pytest.mark.parametrize(
    ("metric_type", "stats", "value"),
    [
        ("mean_count", BaselineStats(number_of_samples=200, sum=500), 2.5),
        ("mean_sum_or_avg", BaselineStats(number_of_samples=200, sum=-500), -2.5),
        ("funnel", BaselineStats(number_of_samples=200, sum=50), 0.25),
        ("funnel", BaselineStats(number_of_samples=200, sum=50, step_counts=(120, 60)), 0.3),
        ("ratio", BaselineStats(number_of_samples=200, sum=500, denominator_sum=250), 2.0),
        ("retention", BaselineStats(number_of_samples=200, sum=50, denominator_sum=200), 0.25),
        ("ratio", BaselineStats(number_of_samples=200, sum=500), None),
        ("ratio", BaselineStats(number_of_samples=200, sum=500, denominator_sum=0), None),
        ("ratio", BaselineStats(number_of_samples=0, sum=500, denominator_sum=250), None),
        ("mean_count", BaselineStats(number_of_samples=0, sum=0), None),
        ("funnel", BaselineStats(number_of_samples=0, sum=0, step_counts=(3,)), None),
    ],
)
def test_baseline_value__sums_of_an_arm__follows_the_metric(
    metric_type: SizedMetric, stats: BaselineStats, value: float | None
) -> None:
    assert power.baseline_value(metric_type=metric_type, stats=stats) == value


def test_baseline_variance__ratio_sums__is_the_delta_method_with_population_moments() -> None:
    # m = 1, 2, 3, 6 and d = 1, 2, 1, 4: M = 3, D = 2, Var(M) = 3.5, Var(D) = 1.5, Cov = 33/4 - 6 = 2.
    stats = BaselineStats(
        number_of_samples=4,
        sum=12,
        sum_squares=50,
        denominator_sum=8,
        denominator_sum_squares=22,
        numerator_denominator_sum_product=32,
    )
    variance = power.baseline_variance(metric_type="ratio", value=1.5, stats=stats)

    assert variance == pytest.approx(3.5 / 4 + 9 * 1.5 / 16 - 2 * 3 * 2 / 8)


def test_running_time__values_sent__win_over_the_sums() -> None:
    stats = BaselineStats(number_of_samples=100, sum=900, sum_squares=9000)
    plan = power.running_time(
        metric_type="mean_count", minimum_detectable_effect=10, value=4.0, variance=7.0, stats=stats
    )

    assert (plan.baseline_value, plan.variance) == (4.0, 7.0)
    assert plan.recommended_sample_size == 1400  # 16·7/0.4²·2


def test_running_time__mean_from_sums__assumes_its_variance_from_the_value() -> None:
    stats = BaselineStats(number_of_samples=100, sum=400, sum_squares=99_999)
    plan = power.running_time(metric_type="mean_count", minimum_detectable_effect=5, stats=stats)

    assert (plan.baseline_value, plan.variance, plan.recommended_sample_size) == (4.0, 8.0, 6400)


def test_running_time__recommended_size__has_about_four_fifths_of_power() -> None:
    plan = power.running_time(metric_type="mean_count", minimum_detectable_effect=5, value=4.0, number_of_variants=4)

    assert plan.recommended_sample_size == 12_800
    assert plan.power_at_recommended == pytest.approx(0.8, abs=0.02)


def test_running_time__traffic_known__lists_twelve_weeks_of_shrinking_effects() -> None:
    plan = power.running_time(
        metric_type="funnel", minimum_detectable_effect=30, value=0.1, units_per_day=100, number_of_variants=2
    )

    assert plan.mde_by_week is not None
    assert [(week.week, week.sample_size) for week in plan.mde_by_week] == [(n, 700 * n) for n in range(1, 13)]
    effects = [week.minimum_detectable_effect for week in plan.mde_by_week]
    assert all(effect is not None for effect in effects)
    assert effects == sorted(effects, reverse=True)  # type: ignore[type-var]  # none is None, as just asserted
    weeks_needed = plan.recommended_running_time_days
    assert weeks_needed == 33  # 3200 or 3201 units
    # 1400 units per arm: c = 7.8489·9/1400 = 0.050457, e = (c + sqrt(c(2-c)))/(1-c).
    assert effects[3] == pytest.approx(38.344, abs=0.001)


@pytest.mark.parametrize(
    "plan",
    [
        power.running_time(metric_type="mean_count", minimum_detectable_effect=5, units_per_day=10),
        power.running_time(metric_type="mean_count", minimum_detectable_effect=5, value=0.0),
        power.running_time(metric_type="mean_count", minimum_detectable_effect=5, value=-2.0),
        power.running_time(metric_type="mean_count", minimum_detectable_effect=5, value=1e-200),
        power.running_time(metric_type="ratio", minimum_detectable_effect=5, value=2.0),
        power.running_time(
            metric_type="mean_count", minimum_detectable_effect=5, stats=BaselineStats(number_of_samples=0, sum=0)
        ),
    ],
)
def test_running_time__size_cannot_be_told__is_unknown(plan: power.RunningTime) -> None:
    assert plan.recommended_sample_size is None
    assert plan.recommended_running_time_days is None
    assert plan.power_at_recommended is None


def test_running_time__everybody_converts__needs_nobody_and_promises_nothing() -> None:
    plan = power.running_time(metric_type="funnel", minimum_detectable_effect=5, value=1.0, units_per_day=10)

    assert plan.recommended_sample_size == 0
    assert plan.recommended_running_time_days is None
    assert plan.power_at_recommended is None


@pytest.mark.parametrize("rate", [None, 0])
def test_running_time__no_traffic__lists_no_weeks(rate: float | None) -> None:
    plan = power.running_time(metric_type="funnel", minimum_detectable_effect=5, value=0.2, units_per_day=rate)

    assert plan.recommended_sample_size is not None
    assert plan.mde_by_week is None


@pytest.mark.parametrize(("effect", "variants"), [(0, 2), (-5, 2), (float("nan"), 2), (5, 1)])
def test_running_time__impossible_plan__is_refused(effect: float, variants: int) -> None:
    with pytest.raises(InvalidParameter):
        power.running_time(
            metric_type="mean_count", minimum_detectable_effect=effect, value=4.0, number_of_variants=variants
        )


@pytest.mark.parametrize("number_of_variants", [10**300, 10**400], ids=["at", "beyond"])
def test_running_time__more_variants_than_a_float_holds__fails_nothing(number_of_variants: int) -> None:
    plan = power.running_time(
        metric_type="mean_count",
        minimum_detectable_effect=5,
        value=4,
        variance=8,
        units_per_day=100,
        number_of_variants=number_of_variants,
    )
    assert plan.mde_by_week is not None
    assert {week.minimum_detectable_effect for week in plan.mde_by_week} == {None}
