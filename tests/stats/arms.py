"""Arms for these tests: from the JSON of the vectors, and random ones."""

from typing import Any

from hypothesis import strategies as st

from stats.bayesian import BayesianTest
from stats.frequentist import WelchTest
from stats.samples import Covariate, MeanSample, Moments, ProportionSample, RatioCovariate, RatioSample, Sample
from stats.sequential import SequentialTest

SCALES = ("RELATIVE", "ABSOLUTE")


def sample_from(arm: dict[str, Any]) -> Sample:
    """The sample that an arm of the vectors describes."""
    kind, n, total = arm["type"], arm["n"], arm["sum"]
    if kind == "mean":
        return MeanSample(n=n, sum=total, sum_squares=arm["sum_squares"], covariate=_covariate_from(arm))
    if kind == "proportion":
        return ProportionSample(n=n, sum=total, covariate=_covariate_from(arm))
    assert kind == "ratio", kind
    return RatioSample(
        n=n,
        sum=total,
        sum_squares=arm["sum_squares"],
        denominator_sum=arm["denominator_sum"],
        denominator_sum_squares=arm.get("denominator_sum_squares", 0.0),
        numerator_denominator_sum_product=arm.get("numerator_denominator_sum_product", 0.0),
        covariate=_ratio_covariate_from(arm),
    )


def moments_from(arm: dict[str, Any]) -> Moments:
    """The moments of an arm of the vectors that gives nothing else."""
    assert arm["type"] == "moments"
    return Moments(n=arm["n"], mean=arm["mean"], variance=arm["variance"])


def _covariate_from(arm: dict[str, Any]) -> Covariate | None:
    if "covariate_sum" not in arm:
        return None
    return Covariate(
        sum=arm["covariate_sum"], sum_squares=arm["covariate_sum_squares"], product=arm["covariate_sum_product"]
    )


def _ratio_covariate_from(arm: dict[str, Any]) -> RatioCovariate | None:
    if "covariate_sum" not in arm:
        return None
    return RatioCovariate(
        sum=arm["covariate_sum"],
        sum_squares=arm["covariate_sum_squares"],
        denominator_sum=arm["covariate_denominator_sum"],
        denominator_sum_squares=arm["covariate_denominator_sum_squares"],
        **arm["cross_products"],
    )


scales = st.sampled_from(SCALES)

tests_of_all_kinds = st.sampled_from(
    [
        WelchTest(),
        WelchTest(alpha=0.001),
        SequentialTest(),
        SequentialTest(alpha=0.2, tuning_parameter=50),
        BayesianTest(),
        BayesianTest(ci_level=0.8),
    ]
)


@st.composite
def mean_arms(draw: st.DrawFn, *, least_units: int = 50) -> MeanSample:
    """Realistic arms: a mean clearly off zero, any spread."""
    n = draw(st.integers(least_units, 100_000))
    mean = draw(st.floats(0.1, 100.0)) * draw(st.sampled_from([1, -1]))
    spread = draw(st.floats(0.01, 50.0))
    return MeanSample(n=n, sum=n * mean, sum_squares=n * mean * mean + (n - 1) * spread * spread)


@st.composite
def unit_values(draw: st.DrawFn, *, least: int = 6, most: int = 40) -> tuple[list[float], list[float]]:
    """Outcome and covariate of the units of one arm; the covariate varies."""
    pairs = draw(st.lists(st.tuples(st.integers(1, 400), st.integers(-400, 400)), min_size=least, max_size=most))
    return [y / 8 for y, _ in pairs], [x / 8 for _, x in pairs]


any_float = st.one_of(
    st.floats(),
    st.integers(-3, 120).map(float),
    st.floats(-1e16, 1e16),
    st.floats(0, 1000),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-11, 1e15, 1e30]),
)


@st.composite
def any_sample(draw: st.DrawFn, *, kind: str) -> Sample:
    """Whatever a broken or an extreme store might hand out: any numbers at all, NaN and infinity among them."""
    n = draw(st.one_of(st.integers(0, 60), st.integers(50, 10**6)))
    plausible = draw(st.booleans())
    total = draw(st.floats(0, float(n))) if plausible else draw(any_float)
    squares = draw(st.floats(float(n), 1e6)) if plausible else draw(any_float)
    covariate = None
    if draw(st.booleans()):
        covariate = Covariate(sum=draw(any_float), sum_squares=draw(any_float), product=draw(any_float))
    if kind == "mean":
        return MeanSample(n=n, sum=total, sum_squares=squares, covariate=covariate)
    if kind == "proportion":
        return ProportionSample(n=n, sum=total, covariate=covariate)
    ratio_covariate = None
    if covariate is not None:
        ratio_covariate = RatioCovariate(*(draw(any_float) for _ in range(9)))
    return RatioSample(
        n=n,
        sum=total,
        sum_squares=squares,
        denominator_sum=draw(any_float),
        denominator_sum_squares=draw(any_float),
        numerator_denominator_sum_product=draw(any_float),
        covariate=ratio_covariate,
    )
