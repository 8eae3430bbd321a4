"""The rates that the statistics promise, measured: with fixed seeds, so that a failure is a change of the code.

`python -m tests.stats.simulations` prints them; `docs/statistics.md` shows those of the large size.
"""

import re

import pytest

from tests.live_service import ROOT
from tests.stats.simulations.catalogue import SIMULATIONS
from tests.stats.simulations.simulation import LARGE, Simulation

DOCUMENT = ROOT / "docs" / "statistics.md"
ROW = re.compile(r"^\| (?P<name>.+) \| .+ \| (?P<share>[0-9.]+)% \| (?P<runs>[0-9]+) \|$", re.MULTILINE)

every_simulation = pytest.mark.parametrize("simulation", SIMULATIONS, ids=[one.title for one in SIMULATIONS])


@every_simulation
def test_rate__ordinary_size__is_as_claimed(simulation: Simulation) -> None:
    low, high = simulation.bounds(runs=simulation.runs)

    assert low <= simulation.measure(runs=simulation.runs) <= high


@pytest.mark.slow
@every_simulation
def test_rate__large_size__is_as_claimed_and_as_documented(simulation: Simulation) -> None:
    runs = LARGE * simulation.runs
    share = simulation.measure(runs=runs)
    low, high = simulation.bounds(runs=runs)

    assert low <= share <= high
    assert simulation.row(share=share, runs=runs) in DOCUMENT.read_text().splitlines()


def test_bounds__five_percent_of_2000_runs__are_those_promised() -> None:
    simulation = Simulation(subject="any", name="any", happens=lambda random, runs: ())

    assert simulation.bounds(runs=2000) == pytest.approx((0.035, 0.065), abs=0.0006)


def test_measure__again__is_the_same() -> None:
    simulation = SIMULATIONS[0]

    assert simulation.measure(runs=300) == simulation.measure(runs=300)


def test_document__shows_every_simulation_at_its_large_size() -> None:
    shown = [(row["name"], int(row["runs"])) for row in ROW.finditer(DOCUMENT.read_text())]

    assert shown == [(one.name, LARGE * one.runs) for one in SIMULATIONS]


def test_document__its_figures__agree_with_the_claims() -> None:
    rows = list(ROW.finditer(DOCUMENT.read_text()))
    outside = [
        row["name"]
        for row, one in zip(rows, SIMULATIONS, strict=True)
        if not one.bounds(runs=LARGE * one.runs)[0] <= float(row["share"]) / 100 <= one.bounds(runs=LARGE * one.runs)[1]
    ]

    assert outside == []
