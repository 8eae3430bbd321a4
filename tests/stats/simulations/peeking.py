"""Experiments that are looked at again and again while units arrive, until a look is significant."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stats.analysis import StatisticalTest, compare
from stats.frequentist import WelchTest
from stats.results import DifferenceType, FrequentistResult
from stats.samples import Covariate, MeanSample, ProportionSample, Sample
from stats.sequential import SequentialTest
from tests.stats.simulations.simulation import Simulation
from tests.stats.simulations.worlds import Floats, MeanWorld, Random

FIRST_LOOK = 50
LAST_LOOK = 2_500
LOOKS = 40
RUNS = 500
SUBJECT = "Looking 40 times"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """One arm of many runs: per look, the running sums of each run."""

    sizes: tuple[int, ...]
    sums: tuple[Floats, ...]
    sample: Callable[..., Sample]

    def at(self, *, run: int, look: int) -> Sample:
        return self.sample(self.sizes[look], *(float(one[run, look]) for one in self.sums))


def look_sizes() -> tuple[int, ...]:
    """Units of an arm at each look, denser at the start: from the first size that is analysed at all."""
    return tuple(round(size) for size in np.geomspace(FIRST_LOOK, LAST_LOOK, LOOKS))


def growing_mean(random: Random, *, runs: int, correlation: float | None) -> Growing:
    """Values that arrive one after the other."""
    world = MeanWorld(correlation=correlation, covariate_mean=20.0)
    y, x = world.values(random, runs=runs, units=LAST_LOOK, lift=0.0)
    columns = [y, y * y] if x is None else [y, y * y, x, x * x, x * y]
    return Growing(
        sizes=look_sizes(),
        sums=tuple(np.cumsum(column, axis=1)[:, np.array(look_sizes()) - 1] for column in columns),
        sample=_mean,
    )


def growing_funnel(random: Random, *, runs: int, share: float) -> Growing:
    """Conversions that arrive in batches from look to look."""
    sizes = look_sizes()
    batches = [sizes[0], *(later - earlier for earlier, later in pairwise(sizes))]
    converted = random.binomial(batches, share, size=(runs, len(sizes))).astype(float)
    return Growing(sizes=sizes, sums=(np.cumsum(converted, axis=1),), sample=_proportion)


def _mean(n: int, s: float, q: float, *x: float) -> Sample:
    return MeanSample(n=n, sum=s, sum_squares=q, covariate=Covariate(*x) if x else None)


def _proportion(n: int, s: float) -> Sample:
    return ProportionSample(n=n, sum=s)


def ever_significant(
    name: str,
    arm: Callable[[Random, int], Growing],
    *,
    test: StatisticalTest,
    scale: DifferenceType,
    nominal: float,
    at_most: bool,
) -> Simulation:
    """Two arms without a difference: whether any of the looks finds one."""

    def happens(random: Random, runs: int) -> Iterator[bool]:
        for start in range(0, runs, 100):
            size = min(100, runs - start)
            treatment, baseline = arm(random, size), arm(random, size)
            for run in range(size):
                yield any(
                    _significant(
                        treatment.at(run=run, look=look), baseline.at(run=run, look=look), test=test, scale=scale
                    )
                    for look in range(LOOKS)
                )

    return Simulation(
        subject=SUBJECT,
        name=f"{name}, {scale.lower()}",
        happens=happens,
        nominal=nominal,
        claim="at most" if at_most else "at least",
        runs=RUNS,
    )


def _significant(treatment: Sample, baseline: Sample, *, test: StatisticalTest, scale: DifferenceType) -> bool:
    result = compare(treatment=treatment, baseline=baseline, test=test, difference_type=scale)
    assert isinstance(result, FrequentistResult), result
    return result.significant


def _mean_arm(random: Random, runs: int) -> Growing:
    return growing_mean(random, runs=runs, correlation=None)


def _cuped_arm(random: Random, runs: int) -> Growing:
    return growing_mean(random, runs=runs, correlation=0.8)


def _funnel_arm(random: Random, runs: int) -> Growing:
    return growing_funnel(random, runs=runs, share=0.3)


def _peeking() -> Iterator[Simulation]:
    arms = {"mean": _mean_arm, "mean with CUPED, ρ 0.8": _cuped_arm, "funnel": _funnel_arm}
    scales: tuple[DifferenceType, ...] = ("RELATIVE", "ABSOLUTE")
    for name, arm in arms.items():
        for scale in scales:
            sequential = SequentialTest(alpha=0.05, tuning_parameter=5000)
            yield ever_significant(f"sequential, {name}", arm, test=sequential, scale=scale, nominal=0.05, at_most=True)
        # The same runs of the fixed test show what looking does, and that this simulation can fail.
        yield ever_significant(f"Welch, {name}", arm, test=WelchTest(), scale="RELATIVE", nominal=0.15, at_most=False)
    early = SequentialTest(alpha=0.05, tuning_parameter=500)
    yield ever_significant(
        "sequential tuned to 500 units, mean", _mean_arm, test=early, scale="RELATIVE", nominal=0.05, at_most=True
    )


PEEKING: tuple[Simulation, ...] = tuple(_peeking())
