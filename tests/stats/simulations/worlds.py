"""Made-up experiments by the thousand: values drawn for all units of all runs at once, then summed per run and arm.

Outcomes are skewed (shifted gammas), not normal: the statistics have to live with what products measure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stats.samples import Covariate, MeanSample, ProportionSample, RatioCovariate, RatioSample, Sample

Random: TypeAlias = np.random.Generator
Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[Sample, Sample]
"""Treatment and baseline of one run."""

CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanWorld:
    """A mean of `level` with standard deviation `spread`; the covariate correlates with it as told."""

    units: int = 200
    level: float = 5.0
    spread: float = 2.0
    lift: float = 0.0
    correlation: float | None = None
    covariate_mean: float = 0.0

    @property
    def baseline_value(self) -> float:
        return self.level

    def arms(self, random: Random, *, runs: int, lift: float) -> list[Sample]:
        y, x = self.values(random, runs=runs, units=self.units, lift=lift)
        return summed_means(y, x)

    def values(self, random: Random, *, runs: int, units: int, lift: float) -> tuple[Floats, Floats | None]:
        """Outcome and covariate, runs by units."""
        past, rest = skewed(random, (runs, units)), skewed(random, (runs, units))
        share = self.correlation or 0.0
        y = self.level * (1 + lift) + self.spread * (share * past + sqrt(1 - share * share) * rest)
        return y, None if self.correlation is None else self.covariate_mean + past


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelWorld:
    """A share `level` of units converts; a share `covariate_mean` of them had done so before."""

    units: int = 400
    level: float = 0.3
    lift: float = 0.0
    correlation: float | None = None
    covariate_mean: float = 0.5

    @property
    def baseline_value(self) -> float:
        return self.level

    def arms(self, random: Random, *, runs: int, lift: float) -> list[Sample]:
        cells = random.multinomial(self.units, self.cells(lift), size=runs)
        return [self.summed(*row) for row in cells.tolist()]

    def cells(self, lift: float) -> tuple[float, float, float, float]:
        """Chances of (converted now and before, now only, before only, never)."""
        now, before = self.level * (1 + lift), self.covariate_mean
        both = now * before + (self.correlation or 0.0) * sqrt(now * (1 - now) * before * (1 - before))
        return both, now - both, before - both, 1 - now - before + both

    def summed(self, both: int, now: int, before: int, never: int) -> Sample:
        covariate = None
        if self.correlation is not None:
            covariate = Covariate(sum=both + before, sum_squares=both + before, product=both)
        return ProportionSample(n=both + now + before + never, sum=both + now, covariate=covariate)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioWorld:
    """Revenue by order: `level` per unit of a denominator that varies from unit to unit and lives on from the past.

    `correlation` is that of the linearised values; `covariate_mean` the ratio of the lookback.
    """

    units: int = 200
    level: float = 2.0
    spread: float = 1.5
    lift: float = 0.0
    correlation: float | None = None
    covariate_mean: float = 2.0

    @property
    def baseline_value(self) -> float:
        return self.level

    def arms(self, random: Random, *, runs: int, lift: float) -> list[Sample]:
        shape = (runs, self.units)
        habit = random.standard_gamma(3.0, shape)
        d, dx = habit + random.standard_gamma(2.0, shape), habit + random.standard_gamma(2.0, shape)
        past, rest = skewed(random, shape), skewed(random, shape)
        share = self.correlation or 0.0
        m = self.level * (1 + lift) * d + self.spread * (share * past + sqrt(1 - share * share) * rest)
        mx = self.covariate_mean * dx + self.spread * past
        columns = {
            "sum": total(m),
            "sum_squares": total(m, m),
            "denominator_sum": total(d),
            "denominator_sum_squares": total(d, d),
            "numerator_denominator_sum_product": total(m, d),
        }
        covariates: list[RatioCovariate | None] = [None] * runs
        if self.correlation is not None:
            rows = zip(
                *map(total, (mx, mx, dx, dx, m, d, mx, m, d), (None, mx, None, dx, mx, dx, dx, dx, mx)), strict=True
            )
            covariates = [RatioCovariate(*row) for row in rows]
        return [
            RatioSample(n=self.units, covariate=covariate, **dict(zip(columns, row, strict=True)))
            for covariate, row in zip(covariates, zip(*columns.values(), strict=True), strict=True)
        ]


World: TypeAlias = MeanWorld | FunnelWorld | RatioWorld
"""Where experiments happen. `lift` is the true relative effect; without a `correlation` there is no covariate."""


def experiments(world: World, random: Random, *, runs: int) -> Iterator[Pair]:
    """So many runs of one experiment, each with units of its own."""
    for start in range(0, runs, CHUNK):
        size = min(CHUNK, runs - start)
        yield from zip(
            world.arms(random, runs=size, lift=world.lift), world.arms(random, runs=size, lift=0.0), strict=True
        )


def skewed(random: Random, shape: tuple[int, int]) -> Floats:
    """Values of mean 0, variance 1 and skewness 1."""
    return (random.standard_gamma(4.0, shape) - 4.0) / 2.0


def total(left: Floats, right: Floats | None = None) -> list[float]:
    """Per run the sum over the units, of values or of products."""
    summed: list[float] = (left.sum(axis=1) if right is None else np.einsum("ij,ij->i", left, right)).tolist()
    return summed


def summed_means(y: Floats, x: Floats | None) -> list[Sample]:
    """One sample per row of values."""
    covariates: list[Covariate | None] = [None] * len(y)
    if x is not None:
        covariates = [Covariate(*row) for row in zip(total(x), total(x, x), total(x, y), strict=True)]
    return [
        MeanSample(n=y.shape[1], sum=s, sum_squares=q, covariate=covariate)
        for s, q, covariate in zip(total(y), total(y, y), covariates, strict=True)
    ]
