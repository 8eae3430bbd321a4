"""From samples to answers: one comparison, or a baseline with all its treatments and the codes of what is missing.

>>> from stats.samples import ProportionSample
>>> answer = analyse(
...     metric_type="funnel",
...     baseline=ProportionSample(n=1529, sum=87),
...     treatments=[ProportionSample(n=1471, sum=62), ProportionSample(n=40, sum=9)],
...     test=WelchTest(alpha=0.05),
...     difference_type="RELATIVE",
... )
>>> [treatment.validation_failures for treatment in answer.treatments]
[(), ('not-enough-exposures',)]
>>> round(answer.treatments[0].result.p_value, 6), answer.treatments[1].result
(0.030961, None)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from stats.bayesian import BayesianTest
from stats.cuped import adjusted_difference
from stats.effects import Difference, difference
from stats.frequentist import WelchTest
from stats.results import BayesianResult, DifferenceType, FrequentistResult, Reason, Undetermined
from stats.samples import Sample
from stats.sequential import SequentialTest
from stats.validation import MetricType, arm_failures, mathematical_failures

StatisticalTest: TypeAlias = WelchTest | SequentialTest | BayesianTest


@dataclass(frozen=True, slots=True)
class TreatmentAnalysis:
    """A treatment's result, or None; then its own codes or else the baseline's say why."""

    result: FrequentistResult | BayesianResult | None
    validation_failures: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The baseline's codes, and the treatments in the order in which they were given."""

    baseline_validation_failures: tuple[Reason, ...]
    treatments: tuple[TreatmentAnalysis, ...]


def compare(
    *, treatment: Sample, baseline: Sample, test: StatisticalTest, difference_type: DifferenceType
) -> FrequentistResult | BayesianResult | Undetermined:
    """One treatment against the baseline, adjusted by CUPED when both samples carry a covariate.

    Asks of the arms only what the mathematics asks: at least 5 units for a frequentist test and 2 for a Bayesian one,
    where `analyse` asks for 50. InvalidParameter when the samples are of different kinds.

    >>> from stats.samples import MeanSample
    >>> compare(treatment=MeanSample.from_values([1, 2, 3]), baseline=MeanSample.from_values([1, 2, 3]),
    ...         test=WelchTest(), difference_type="RELATIVE")
    Undetermined(reason='not-enough-units')
    """
    for sample in (baseline, treatment):
        reasons = mathematical_failures(
            sample=sample, is_baseline=sample is baseline, test=test, difference_type=difference_type
        )
        if reasons:
            return Undetermined(reasons[0])
    delta = pair_difference(treatment=treatment, baseline=baseline, difference_type=difference_type)
    return delta if isinstance(delta, Undetermined) else test.infer(delta)


def analyse(
    *,
    metric_type: MetricType,
    baseline: Sample,
    treatments: Sequence[Sample],
    test: StatisticalTest,
    difference_type: DifferenceType,
) -> Analysis:
    """Every treatment against the baseline, with a code for each statistic that is missing.

    CUPED is applied to a pair when both samples carry a covariate: leave the covariates out to switch it off. Every
    float of a result is finite. A treatment without result has codes of its own, or the baseline has; a treatment
    with a result has none, nor has its baseline. InvalidParameter when the samples are of different kinds.
    """
    of_baseline = arm_failures(
        sample=baseline, metric_type=metric_type, is_baseline=True, test=test, difference_type=difference_type
    )
    answers = []
    for treatment in treatments:
        failures = arm_failures(
            sample=treatment, metric_type=metric_type, is_baseline=False, test=test, difference_type=difference_type
        )
        result: FrequentistResult | BayesianResult | None = None
        if not failures and not of_baseline:
            delta = pair_difference(treatment=treatment, baseline=baseline, difference_type=difference_type)
            answer = delta if isinstance(delta, Undetermined) else test.infer(delta)
            if isinstance(answer, Undetermined):
                failures = (answer.reason,)
            else:
                result = answer
        answers.append(TreatmentAnalysis(result=result, validation_failures=failures))
    return Analysis(baseline_validation_failures=of_baseline, treatments=tuple(answers))


def pair_difference(
    *, treatment: Sample, baseline: Sample, difference_type: DifferenceType
) -> Difference | Undetermined:
    """The difference that a test judges: CUPED's when both samples carry a covariate, else the plain one.

    Reasons: those of `stats.cuped.adjusted_difference` and `stats.effects.difference`.
    """
    if treatment.covariate is not None and baseline.covariate is not None:
        return adjusted_difference(treatment=treatment, baseline=baseline, difference_type=difference_type)
    treated, base = treatment.moments(), baseline.moments()
    if isinstance(treated, Undetermined):
        return treated
    if isinstance(base, Undetermined):
        return base
    return difference(treatment=treated, baseline=base, difference_type=difference_type)
