"""The benchmarks run, and are told."""

import re
import subprocess
import sys

import pytest

from benchmarks.__main__ import BENCHMARKS
from tests.live_service import ROOT, environment


@pytest.fixture(scope="module")
def printed() -> str:
    """What one very short round of each benchmark prints."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "1", "--seconds", "0.2", "--events", "20000"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("part", ["service", "floor", "ratio"])
def test_bench__every_benchmark__prints_both_rates_and_their_ratio(printed: str, part: str) -> None:
    rates = [float(rate) for rate in re.findall(rf"^  {part} +([0-9.]+) ", printed, re.MULTILINE)]
    assert len(rates) == len(BENCHMARKS)
    assert min(rates) > 0


def test_bench__answers_of_service_and_floor__are_of_one_size(printed: str) -> None:
    service, floor = map(float, re.findall(r"requests/s, ([0-9.]+) kB an answer$", printed, re.MULTILINE)[:2])
    assert floor == pytest.approx(service, rel=0.15)


def test_document__every_benchmark__is_in_its_table() -> None:
    told = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "benchmarks" / "README.md").read_text(), re.MULTILINE)
    assert told == list(BENCHMARKS)
