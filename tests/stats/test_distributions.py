"""Quantiles and tails far out, where libraries give up before the mathematics does."""

import math

import pytest

from stats.distributions import t_critical, t_two_sided_p


@pytest.mark.parametrize("degrees_of_freedom", [5.0, 98.0, 1e5])
def test_t_critical__tail_of_nothing__is_infinite(degrees_of_freedom: float) -> None:
    assert t_critical(0.0, degrees_of_freedom=degrees_of_freedom) == math.inf


def test_t_critical__tail_below_what_doubles_answer__is_not_negative() -> None:
    for exponent in range(1, 324):
        assert t_critical(float(f"1e-{exponent}"), degrees_of_freedom=5.0) > 0


@pytest.mark.parametrize("tail", [0.4, 0.025, 1e-12, 1e-60])
def test_t_critical__tail__is_the_one_beyond_it(tail: float) -> None:
    critical = t_critical(tail, degrees_of_freedom=98.0)

    assert t_two_sided_p(critical, degrees_of_freedom=98.0) == pytest.approx(2 * tail, rel=1e-9)


def test_t_critical__tail_over_half__lies_below_zero() -> None:
    assert t_critical(0.975, degrees_of_freedom=10.0) == pytest.approx(-2.228139, abs=1e-6)
