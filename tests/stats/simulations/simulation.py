"""What is measured: the share of runs in which something happens, and what that share may be."""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats as scipy_stats

from tests.stats.simulations.worlds import Random

Claim: TypeAlias = Literal["exactly", "at most", "at least"]

RUNS = 2_000
LARGE = 10
"""The large size of a simulation has so many times the runs of the ordinary one."""

UNLUCKY = 0.001
"""How often a share that is right may miss its bounds on either side; with fixed seeds it never does so twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """`happens` answers, run by run, whether it happened; `nominal` is the share that is claimed.

    A claim `exactly` is held against the binomial bounds of that many runs, which for 5 % and 2000 runs are 3.5 % and
    6.5 %, and `slack` beyond them where the claim itself is an approximation; `at most` against the nominal share
    itself, `at least` likewise.
    """

    subject: str
    name: str
    happens: Callable[[Random, int], Iterable[bool | float]]
    nominal: float = 0.05
    claim: Claim = "exactly"
    slack: float = 0.0
    runs: int = RUNS

    @property
    def title(self) -> str:
        return f"{self.subject}: {self.name}"

    def measure(self, *, runs: int) -> float:
        """The share of runs, always the same for the same number of runs."""
        random = np.random.default_rng(zlib.crc32(self.title.encode()))
        return sum(float(one) for one in self.happens(random, runs)) / runs

    def bounds(self, *, runs: int) -> tuple[float, float]:
        """Least and largest share that agrees with the claim."""
        if self.claim == "at most":
            return 0.0, self.nominal
        if self.claim == "at least":
            return self.nominal, 1.0
        low, high = (float(scipy_stats.binom.ppf(q, runs, self.nominal)) / runs for q in (UNLUCKY, 1 - UNLUCKY))
        return low - self.slack, high + self.slack

    def row(self, *, share: float, runs: int) -> str:
        """The line of the table in `docs/statistics.md`; a share outside its bounds is marked."""
        low, high = self.bounds(runs=runs)
        fault = "" if low <= share <= high else " (!)"
        claim = "" if self.claim == "exactly" else f"{self.claim} "
        slack = f" ± {self.slack:.0%}" if self.slack else ""
        return f"| {self.name} | {claim}{self.nominal:.2%}{slack} | {share:.2%}{fault} | {runs} |"
