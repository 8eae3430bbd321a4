"""Moments from sums: hand-checkable arms, units against sums, and sums that cannot be."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats.results import Undetermined
from stats.samples import (
    Covariate,
    MeanSample,
    Moments,
    ProportionSample,
    RatioSample,
    centred_product,
    has_usable_sums,
)

NAN, INFINITY = float("nan"), float("inf")


def test_standard_error__four_units_of_variance_one__is_one_half() -> None:
    assert Moments(n=4, mean=3.0, variance=1.0).standard_error == 0.5


@settings(deadline=None)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60))
def test_mean__units_summed_up__has_their_moments(values: list[float]) -> None:
    moments = MeanSample.from_values(values).moments()

    assert isinstance(moments, Moments)
    assert moments.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert moments.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6, abs=1e-6)


def test_ratio__many_units__has_the_variance_of_their_bootstrap() -> None:
    random = np.random.default_rng(3)
    d = random.poisson(4, 2000) + 1.0
    m = d * 3 + random.normal(0, 2, 2000)
    moments = RatioSample.from_values(m, d).moments()
    picks = random.integers(0, 2000, (1000, 2000))
    ratios = m[picks].sum(axis=1) / d[picks].sum(axis=1)

    assert isinstance(moments, Moments)
    assert moments.standard_error == pytest.approx(ratios.std(), rel=0.1)


def test_ratio__retention_sums__has_the_binomial_variance_with_n_less_one() -> None:
    retained = RatioSample(
        n=100,
        sum=30,
        sum_squares=30,
        denominator_sum=100,
        denominator_sum_squares=100,
        numerator_denominator_sum_product=30,
    )
    moments = retained.moments()

    assert isinstance(moments, Moments)
    assert moments.mean == 0.3
    assert moments.variance == pytest.approx(0.3 * 0.7 * 100 / 99)


@pytest.mark.parametrize(
    "sample",
    [
        MeanSample(n=60, sum=NAN, sum_squares=1),
        MeanSample(n=60, sum=1, sum_squares=INFINITY),
        MeanSample(n=60, sum=1.1e15, sum_squares=1e30),
        MeanSample(n=60, sum=10**400, sum_squares=10**800),
        MeanSample(n=60, sum=1, sum_squares=1.1e30),
        MeanSample(n=100, sum=100, sum_squares=99.9),
        MeanSample(n=-1, sum=0, sum_squares=0),
        MeanSample(n=60, sum=1, sum_squares=1, covariate=Covariate(sum=1, sum_squares=1, product=NAN)),
        ProportionSample(n=60, sum=61),
        ProportionSample(n=60, sum=-1),
        RatioSample(n=60, sum=1, sum_squares=1, denominator_sum=NAN),
        RatioSample(n=60, sum=1, sum_squares=1, denominator_sum=1, numerator_denominator_sum_product=INFINITY),
        RatioSample(n=60, sum=1e15, sum_squares=1e30, denominator_sum=1e-300),
    ],
    ids=repr,
)
def test_moments__sums_no_store_can_have_added_up__are_invalid(
    sample: MeanSample | ProportionSample | RatioSample,
) -> None:
    assert sample.moments() == Undetermined("invalid-sums")


@pytest.mark.parametrize(
    ("sum_squares", "is_usable"), [(100.0, True), (100 - 0.9e-10, True), (100 - 1.2e-10, False), (99.0, False)]
)
def test_has_usable_sums__squares_short_of_their_least__tolerates_rounding_only(
    sum_squares: float, is_usable: bool
) -> None:
    # S²/n = 100: max(1e-10, 1e-12·100) = 1e-10 may be missing.
    assert has_usable_sums(MeanSample(n=100, sum=100, sum_squares=sum_squares)) is is_usable


def test_has_usable_sums__large_sums__tolerance_grows_with_them() -> None:
    assert has_usable_sums(MeanSample(n=100, sum=1e8, sum_squares=1e14 - 50))
    assert not has_usable_sums(MeanSample(n=100, sum=1e8, sum_squares=1e14 - 150))


@pytest.mark.parametrize(
    "sample",
    [
        MeanSample(n=0, sum=0, sum_squares=0),
        ProportionSample(n=0, sum=0),
        RatioSample(n=0, sum=0, sum_squares=0, denominator_sum=0),
    ],
    ids=repr,
)
def test_moments__nobody_exposed__are_unknown_not_zero(sample: MeanSample | ProportionSample | RatioSample) -> None:
    assert sample.moments() == Undetermined("not-enough-units")


def test_moments__squares_short_by_rounding__variance_is_zero_not_negative() -> None:
    assert MeanSample(n=100, sum=100, sum_squares=100 - 0.5e-10).moments() == Moments(n=100, mean=1.0, variance=0.0)


def test_ratio__denominator_of_zero__has_no_value() -> None:
    assert RatioSample(n=60, sum=5, sum_squares=5, denominator_sum=0).ratio() == Undetermined("not-enough-metric-data")


def test_centred_product__one_unit__is_zero() -> None:
    assert centred_product(n=1, product=9, left=3, right=3) == 0


def test_from_values__covariates_of_units__are_summed_with_their_products() -> None:
    sample = MeanSample.from_values([1, 2, 3], covariate=[4, 5, 6])

    assert sample.covariate == Covariate(sum=15, sum_squares=77, product=32)
    assert math.isclose(sample.sum_squares, 14)
