"""Traffic: when a mismatch is reported, when it alarms, and when leaving units out may bias."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats.results import InvalidParameter
from stats.srm import automatic_split, bias_risk, chi_square_test, is_alarming, sample_ratio_mismatch

EVEN = {"control": 50.0, "test": 50.0}


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 10**7), min_size=2, max_size=6),
    weights=st.lists(st.floats(0.001, 100), min_size=6, max_size=6),
    factor=st.floats(0.01, 100),
)
def test_chi_square__weights_in_other_units__answers_the_same(
    counts: list[int], weights: list[float], factor: float
) -> None:
    observed = {str(arm): count for arm, count in enumerate(counts)}
    here = chi_square_test(observed=observed, weights={arm: weights[int(arm)] for arm in observed})
    there = chi_square_test(observed=observed, weights={arm: factor * weights[int(arm)] for arm in observed})

    assert sum(here.expected.values()) == pytest.approx(sum(counts))
    assert 0 <= here.p_value <= 1
    assert there.chi_square == pytest.approx(here.chi_square, rel=1e-6, abs=1e-6)


def test_chi_square__far_from_the_split__p_value_keeps_its_digits() -> None:
    test = chi_square_test(observed={"control": 800, "test": 200}, weights=EVEN)

    assert test.chi_square == pytest.approx(360.0)
    assert test.p_value == pytest.approx(2.88e-80, rel=0.01)


@pytest.mark.parametrize(
    ("observed", "weights"),
    [
        ({"a": 1, "b": 1}, {"a": -1.0, "b": 2.0}),
        ({"a": 1, "b": 1}, {"a": float("nan"), "b": 2.0}),
        ({"a": -1, "b": 1}, {"a": 1.0, "b": 2.0}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1, "b": 0}, {"a": 1.0, "b": 0.0}),
        ({}, {}),
    ],
)
def test_chi_square__no_ratio_to_test__is_refused(observed: dict[str, int], weights: dict[str, float]) -> None:
    with pytest.raises(InvalidParameter):
        chi_square_test(observed=observed, weights=weights)


@pytest.mark.parametrize(("control", "is_reported"), [(49, False), (50, True)])
def test_report__around_a_hundred_units__needs_all_of_them(control: int, is_reported: bool) -> None:
    report = sample_ratio_mismatch(observed={"control": control, "test": 50}, weights=EVEN)

    assert (report is not None) is is_reported


def test_report__units_of_arms_without_traffic__do_not_count() -> None:
    observed = {"control": 49, "test": 50, "off": 900}

    assert sample_ratio_mismatch(observed=observed, weights={**EVEN, "off": 0}) is None


@pytest.mark.parametrize("weights", [{}, {"control": 100.0}, {"control": 100.0, "test": 0.0}])
def test_report__below_two_arms__is_absent(weights: dict[str, float]) -> None:
    assert sample_ratio_mismatch(observed={"control": 5000, "test": 4000}, weights=weights) is None


@pytest.mark.parametrize(
    ("observed", "is_loud"),
    [
        ({"control": 450, "test": 549}, False),  # 999 units, p = 0.0017
        ({"control": 400, "test": 599}, False),  # 999 units, however far
        ({"control": 400, "test": 600}, True),
        ({"control": 4900, "test": 5100}, False),  # p = 0.046
        ({"control": 4830, "test": 5170}, True),  # p = 0.0007, 3.4 standard deviations
    ],
)
def test_alarm__size_and_distance__must_both_be_beyond_doubt(observed: dict[str, int], is_loud: bool) -> None:
    mismatch = sample_ratio_mismatch(observed=observed, weights=EVEN)

    assert is_alarming(mismatch=mismatch, observed=observed) is is_loud


def test_alarm__many_small_deviations__is_silent_without_one_clear_arm() -> None:
    # Ten arms, every one 2.5 standard deviations off: p is tiny, yet no arm can be named.
    expected, deviation = 10_000, 2.5 * (100_000 * 0.1 * 0.9) ** 0.5
    observed = {str(arm): round(expected + (deviation if arm % 2 else -deviation)) for arm in range(10)}
    mismatch = sample_ratio_mismatch(observed=observed, weights=dict.fromkeys(observed, 10.0))

    assert mismatch is not None
    assert mismatch.p_value < 0.001
    assert not is_alarming(mismatch=mismatch, observed=observed)


def test_alarm__nothing_reported__is_silent() -> None:
    assert not is_alarming(mismatch=None, observed={})


@pytest.mark.parametrize(("multiple", "is_risky"), [(1, False), (2, True), (0, False)])
def test_bias_risk__share_around_the_threshold__is_reported_above_it(multiple: int, is_risky: bool) -> None:
    risk = bias_risk(
        units_per_arm={"control": 700, "test": 300 - multiple},
        multiple_variant_units=multiple,
        percentages=[70, 30],
        is_running=True,
        handling="exclude",
    )

    assert (risk is not None) is is_risky


def test_bias_risk__nobody_exposed__is_absent() -> None:
    risk = bias_risk(
        units_per_arm={}, multiple_variant_units=0, percentages=[70, 30], is_running=True, handling="exclude"
    )

    assert risk is None


@pytest.mark.parametrize("variants", range(1, 101))
def test_automatic_split__any_number_of_variants__shares_all_traffic_in_falling_order(variants: int) -> None:
    split = automatic_split(variants)

    assert sum(split) == 100
    assert list(split) == sorted(split, reverse=True)
    assert max(split) - min(split) <= 1
