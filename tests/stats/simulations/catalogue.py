"""All simulations: of fixed, Bayesian and sequential tests, of families, of sizes of arms and of planned power."""

from collections.abc import Iterator
from dataclasses import replace

from scipy import stats as scipy_stats

from stats import multiplicity, power, srm
from stats.analysis import StatisticalTest, analyse
from stats.bayesian import BayesianTest, Prior
from stats.frequentist import WelchTest
from stats.results import BayesianResult, DifferenceType, FrequentistResult
from stats.samples import ProportionSample, RatioSample, Sample
from stats.validation import MetricType
from tests.stats.simulations.peeking import PEEKING
from tests.stats.simulations.simulation import Claim, Simulation
from tests.stats.simulations.worlds import FunnelWorld, MeanWorld, Random, RatioWorld, World, experiments

SCALES: tuple[DifferenceType, ...] = ("RELATIVE", "ABSOLUTE")
PLAIN: dict[str, World] = {"mean": MeanWorld(), "funnel": FunnelWorld(), "ratio": RatioWorld()}
WITH_CUPED: dict[str, World] = {
    **{
        f"mean, ρ {correlation:g}, covariate mean {mean:g}": MeanWorld(correlation=correlation, covariate_mean=mean)
        for correlation in (0.0, 0.5, 0.9)
        for mean in (0.0, 5.0, 1000.0)
    },
    **{
        f"funnel, φ {correlation:g}, covariate mean {mean:g}": FunnelWorld(correlation=correlation, covariate_mean=mean)
        for correlation in (0.0, 0.3, 0.5)
        for mean in (0.1, 0.5)
    },
    **{
        f"ratio, ρ {correlation:g}, covariate mean {mean:g}": RatioWorld(correlation=correlation, covariate_mean=mean)
        for correlation in (0.0, 0.5, 0.9)
        for mean in (2.0, 1000.0)
    },
}
FEW_WITH_CUPED = (
    "mean, ρ 0.9, covariate mean 1000",
    "funnel, φ 0.5, covariate mean 0.5",
    "ratio, ρ 0.9, covariate mean 1000",
)
TESTS_IN_FAMILY = 10


def inferred(
    treatment: Sample, baseline: Sample, *, test: StatisticalTest, scale: DifferenceType
) -> FrequentistResult | BayesianResult:
    """What the service would answer, all its checks included."""
    kind: MetricType = "mean"
    if isinstance(baseline, RatioSample):
        kind = "ratio"
    elif isinstance(baseline, ProportionSample):
        kind = "funnel"
    answer = analyse(metric_type=kind, baseline=baseline, treatments=[treatment], test=test, difference_type=scale)
    (treated,) = answer.treatments
    assert treated.result is not None, (treated, answer.baseline_validation_failures)
    return treated.result


def false_positives(
    subject: str, name: str, world: World, *, test: StatisticalTest, scale: DifferenceType, nominal: float
) -> Simulation:
    """Two arms without a difference: how often one is found."""

    def happens(random: Random, runs: int) -> Iterator[bool]:
        for treatment, baseline in experiments(world, random, runs=runs):
            yield inferred(treatment, baseline, test=test, scale=scale).significant

    return Simulation(subject=subject, name=f"{name}, {scale.lower()}", happens=happens, nominal=nominal)


def misses(
    subject: str, name: str, world: World, *, test: StatisticalTest, scale: DifferenceType, lift: float
) -> Simulation:
    """A true effect: how often the 95 % interval leaves it out."""
    truth = lift if scale == "RELATIVE" else lift * world.baseline_value
    moved: World = replace(world, lift=lift)

    def happens(random: Random, runs: int) -> Iterator[bool]:
        for treatment, baseline in experiments(moved, random, runs=runs):
            result = inferred(treatment, baseline, test=test, scale=scale)
            low, high = (
                result.confidence_interval if isinstance(result, FrequentistResult) else result.credible_interval
            )
            yield not low <= truth <= high

    return Simulation(subject=subject, name=f"{name}, effect {lift:+.0%}, {scale.lower()}", happens=happens)


def found(world: World, *, effect: float, n_treatment: int, n_baseline: int, variance: float, name: str) -> Simulation:
    """A true effect of a planned size: how often it is found, against the power that was promised."""
    promised = power.power(
        mean=world.baseline_value, variance=variance, n_treatment=n_treatment, n_baseline=n_baseline, effect=effect
    )
    assert promised is not None
    treated: World = replace(world, units=n_treatment)
    base: World = replace(world, units=n_baseline)

    def happens(random: Random, runs: int) -> Iterator[bool]:
        for start in range(0, runs, 500):
            size = min(500, runs - start)
            arms = zip(
                treated.arms(random, runs=size, lift=effect), base.arms(random, runs=size, lift=0.0), strict=True
            )
            for treatment, baseline in arms:
                yield inferred(treatment, baseline, test=WelchTest(), scale="RELATIVE").significant

    # A plan knows neither the skewness of the values nor the treatment's variance.
    return Simulation(subject="Planned power", name=name, happens=happens, nominal=promised, slack=0.03)


def family(
    name: str, *, correction: multiplicity.Correction, real: int, nominal: float, claim: Claim, share: bool = False
) -> Simulation:
    """Ten metrics, of which `real` have an effect: whether any other is found, or their share among those found."""

    def happens(random: Random, runs: int) -> Iterator[float]:
        null, moved = MeanWorld(units=150), MeanWorld(units=150, lift=0.12)
        columns = [
            experiments(moved if number < real else null, random, runs=runs) for number in range(TESTS_IN_FAMILY)
        ]
        for metrics in zip(*columns, strict=True):
            results = [inferred(*pair, test=WelchTest(), scale="ABSOLUTE") for pair in metrics]
            members = [result for result in results if isinstance(result, FrequentistResult)]
            adjusted = multiplicity.adjust_family(correction=correction, results=members, alpha=0.05)
            p_values = [
                result.p_value if member.p_value_adjusted is None else member.p_value_adjusted
                for result, member in zip(members, adjusted, strict=True)
            ]
            positives = [p_value < 0.05 for p_value in p_values]
            false = sum(positives[real:])
            yield false / max(sum(positives), 1) if share else float(false > 0)

    return Simulation(
        subject="Families of 10 tests",
        name=name,
        happens=happens,
        nominal=nominal,
        claim=claim,
    )


def mismatches(name: str, *, weights: tuple[int, ...], units: int) -> Simulation:
    """Arms that got what they were promised: how often chance alone has p < 0.05."""
    shares = {f"arm{number}": float(weight) for number, weight in enumerate(weights)}

    def happens(random: Random, runs: int) -> Iterator[bool]:
        drawn = random.multinomial(units, [weight / sum(weights) for weight in weights], size=runs).tolist()
        for row in drawn:
            answer = srm.chi_square_test(observed=dict(zip(shares, row, strict=True)), weights=shares)
            yield answer.p_value < 0.05

    return Simulation(subject="Sample ratio mismatch", name=name, happens=happens)


def alarms(*, shift: float, claim: Claim, nominal: float, name: str) -> Simulation:
    """Whether 4000 units at 50/50 raise the alarm when the first arm really gets 50 % + shift."""

    def happens(random: Random, runs: int) -> Iterator[bool]:
        for first in random.binomial(4000, 0.5 + shift, size=runs).tolist():
            observed = {"a": first, "b": 4000 - first}
            mismatch = srm.sample_ratio_mismatch(observed=observed, weights={"a": 50, "b": 50})
            yield srm.is_alarming(mismatch=mismatch, observed=observed)

    return Simulation(
        subject="Sample ratio mismatch",
        name=name,
        happens=happens,
        nominal=nominal,
        claim=claim,
    )


def _frequentist_and_bayesian() -> Iterator[Simulation]:
    welch, bayes = WelchTest(alpha=0.05), BayesianTest(ci_level=0.95)
    for scale in SCALES:
        for name, world in PLAIN.items():
            yield false_positives("False positives, Welch", name, world, test=welch, scale=scale, nominal=0.05)
        for name, world in WITH_CUPED.items():
            yield false_positives("False positives, CUPED", name, world, test=welch, scale=scale, nominal=0.05)
        few = {**PLAIN, **{f"CUPED: {name}": WITH_CUPED[name] for name in FEW_WITH_CUPED}}
        for name, world in few.items():
            # The rule is one-sided on either side: P(chance to win > 0.95) + P(chance to win < 0.05).
            yield false_positives("False positives, Bayesian", name, world, test=bayes, scale=scale, nominal=0.1)
        for name, world in few.items():
            yield misses("Intervals that miss, Welch", name, world, test=welch, scale=scale, lift=0.2)
            yield misses("Intervals that miss, Bayesian", name, world, test=bayes, scale=scale, lift=-0.1)
    sceptic = BayesianTest(ci_level=0.95, prior=Prior(mean=0.0, variance=0.0016))
    # The prior knows as much as the data (V = 2·0.4²/200 = 0.0016): z has to pass 1.645·√2.
    rate = 2 * float(scipy_stats.norm.sf(1.645 * 2**0.5))
    yield false_positives(
        "False positives, Bayesian",
        "mean, prior of the data's own weight",
        PLAIN["mean"],
        test=sceptic,
        scale="RELATIVE",
        nominal=rate,
    )


def _rest() -> Iterator[Simulation]:
    any_of_ten = 1 - 0.95**TESTS_IN_FAMILY
    any_of_holm = 1 - (1 - 0.05 / TESTS_IN_FAMILY) ** TESTS_IN_FAMILY
    yield family("any false positive, no correction", correction="none", real=0, nominal=any_of_ten, claim="exactly")
    yield family("any false positive, Holm", correction="holm", real=0, nominal=any_of_holm, claim="exactly")
    yield family("any false positive beside 5 effects, Holm", correction="holm", real=5, nominal=0.05, claim="at most")
    yield family(
        "any false positive, Benjamini-Hochberg",
        correction="benjamini_hochberg",
        real=0,
        nominal=0.05,
        claim="exactly",
    )
    yield family(
        "share of false ones beside 5 effects, Benjamini-Hochberg",
        correction="benjamini_hochberg",
        real=5,
        nominal=0.05,
        claim="at most",
        share=True,
    )
    yield family(
        "share of false ones beside 5 effects, no correction",
        correction="none",
        real=5,
        nominal=0.035,
        claim="at least",
        share=True,
    )
    yield mismatches("50/50, 4000 units", weights=(50, 50), units=4000)
    yield mismatches("34/33/33, 999 units", weights=(34, 33, 33), units=999)
    yield mismatches("90/10, 2000 units", weights=(90, 10), units=2000)
    yield alarms(name="alarm at 50/50, 4000 units", shift=0.0, claim="at most", nominal=0.003)
    yield alarms(name="alarm at 54/46 instead of 50/50", shift=0.04, claim="at least", nominal=0.9)
    yield found(
        MeanWorld(), effect=0.08, n_treatment=400, n_baseline=400, variance=4.0, name="mean, +8 %, 400 and 400 units"
    )
    yield found(
        MeanWorld(), effect=-0.1, n_treatment=200, n_baseline=800, variance=4.0, name="mean, -10 %, 200 and 800 units"
    )
    yield found(
        RatioWorld(),
        effect=0.05,
        n_treatment=300,
        n_baseline=300,
        variance=1.5**2 / 25,
        name="ratio, +5 %, 300 and 300 units",
    )
    detectable = power.minimum_detectable_effect(mean=5.0, variance=4.0, n_per_arm=500)
    assert detectable is not None
    yield found(
        MeanWorld(),
        effect=detectable,
        n_treatment=500,
        n_baseline=500,
        variance=4.0,
        name="mean, the effect that 500 units detect",
    )


def _by_subject(simulations: list[Simulation]) -> tuple[Simulation, ...]:
    subjects = list(dict.fromkeys(simulation.subject for simulation in simulations))
    return tuple(sorted(simulations, key=lambda simulation: subjects.index(simulation.subject)))


SIMULATIONS = _by_subject([*_frequentist_and_bayesian(), *PEEKING, *_rest()])
