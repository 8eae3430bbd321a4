"""Measure all rates and print them as a table: `python -m tests.stats.simulations [TIMES]`.

TIMES multiplies the number of runs; 1 is what the test suite does, 10 what `docs/statistics.md` shows.
"""

import sys

from tests.stats.simulations.catalogue import SIMULATIONS


def main(*, times: int) -> None:
    """Print one line of a Markdown table for each simulation, as soon as it is known."""
    subject = ""
    for simulation in SIMULATIONS:
        if simulation.subject != subject:
            subject = simulation.subject
            print(f"\n### {subject}\n\n| simulation | claim | measured | runs |\n|---|---|---|---|")
        runs = simulation.runs * times
        share = simulation.measure(runs=runs)
        print(simulation.row(share=share, runs=runs), flush=True)


if __name__ == "__main__":
    main(times=int(sys.argv[1]) if len(sys.argv) > 1 else 1)
