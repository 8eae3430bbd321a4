"""Why an arm's numbers are no statistics: the codes that stand where figures are missing."""

from typing import Literal, Protocol, TypeAlias

from stats.effects import SMALLEST_RELATIVE_BASELINE
from stats.results import DifferenceType, Reason, Undetermined
from stats.samples import ProportionSample, RatioSample, Sample, has_usable_sums

MetricType: TypeAlias = Literal["mean", "funnel", "ratio", "retention"]

FEWEST_EXPOSURES = 50
FEWEST_CONVERSIONS = 5
FEWEST_SUCCESSES_AND_FAILURES = 5
SMALLEST_PROPORTION = 1e-10


class Requirements(Protocol):
    """What a test asks of an arm."""

    @property
    def minimum_units(self) -> int:
        """Fewest units the mathematics allows."""

    @property
    def needs_successes_and_failures(self) -> bool:
        """Whether a proportion needs five of either for the normal approximation."""


def arm_failures(
    *,
    sample: Sample,
    metric_type: MetricType,
    is_baseline: bool,
    test: Requirements,
    difference_type: DifferenceType,
) -> tuple[Reason, ...]:
    """Every code that keeps this arm out of the statistics, in the documented order; () when there is none.

    `not-enough-exposures`, `not-enough-metric-data` and `baseline-mean-is-zero` are all given that apply; the others
    only where none of these three already explains the absence. A baseline's codes hold for every treatment.

    >>> from stats.frequentist import WelchTest
    >>> arm_failures(sample=ProportionSample(n=49, sum=4), metric_type="funnel", is_baseline=True, test=WelchTest(),
    ...              difference_type="RELATIVE")
    ('not-enough-exposures', 'not-enough-metric-data')
    """
    reasons: list[Reason] = []
    if sample.n < FEWEST_EXPOSURES:
        reasons.append("not-enough-exposures")
    if not _has_metric_data(sample=sample, metric_type=metric_type):
        reasons.append("not-enough-metric-data")
    if is_baseline and sample.sum == 0:
        reasons.append("baseline-mean-is-zero")
    if reasons:
        return tuple(reasons)
    return mathematical_failures(sample=sample, is_baseline=is_baseline, test=test, difference_type=difference_type)


def mathematical_failures(
    *, sample: Sample, is_baseline: bool, test: Requirements, difference_type: DifferenceType
) -> tuple[Reason, ...]:
    """The codes of an arm on which the test itself is undefined or meaningless, whatever the size of the experiment.

    Sums that cannot be are named alone: nothing else can be said of them. `zero-variance` here is a proportion of
    (all but) 0 or 1; that of a pair shows when the two are compared.

    >>> from stats.bayesian import BayesianTest
    >>> mathematical_failures(sample=ProportionSample(n=100, sum=97), is_baseline=False, test=BayesianTest(),
    ...                       difference_type="RELATIVE")
    ('too-few-successes-or-failures',)
    """
    if not has_usable_sums(sample):
        return ("invalid-sums",)
    if sample.n < test.minimum_units:
        return ("not-enough-units",)
    moments = sample.moments()
    if isinstance(moments, Undetermined):
        return (moments.reason,)
    reasons: list[Reason] = []
    if is_baseline and difference_type == "RELATIVE" and abs(moments.mean) < SMALLEST_RELATIVE_BASELINE:
        reasons.append("baseline-mean-is-zero" if moments.mean == 0 else "baseline-not-positive")
    if isinstance(sample, ProportionSample):
        fewer = min(sample.sum, sample.n - sample.sum)
        if test.needs_successes_and_failures and fewer < FEWEST_SUCCESSES_AND_FAILURES:
            reasons.append("too-few-successes-or-failures")
        if not SMALLEST_PROPORTION <= moments.mean <= 1 - SMALLEST_PROPORTION:
            reasons.append("zero-variance")
    return tuple(reasons)


def _has_metric_data(*, sample: Sample, metric_type: MetricType) -> bool:
    if metric_type in ("funnel", "retention"):
        return not sample.sum < FEWEST_CONVERSIONS
    return not (isinstance(sample, RatioSample) and sample.denominator_sum == 0)
