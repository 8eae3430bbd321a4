"""The tour, as the README tells its readers to start it."""

import re
import subprocess
import sys

from tests.live_service import ROOT, LiveService

TOUR = str(ROOT / "examples" / "tour.py")


def run_tour(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOUR, *words], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )


def test_tour__walks_the_whole_life(service: LiveService) -> None:
    ended = run_tour("--credentials", str(service.data_dir / "credentials.json"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for told in ('"status": "draft"', '"status": "running"', '"status": "paused"', '"conclusion": "won"'):
        assert told in ended.stdout
    assert "The tour is over." in ended.stdout
    exposed = re.search(r'exposed: \{"control": (\d+), "green": (\d+)\}', ended.stdout)
    assert exposed is not None
    # One in twenty is held out.
    assert 160 <= sum(map(int, exposed.groups())) <= 200
    assert re.search(r"funnel +primary +green +\+\d+% \(.+\), chance to win \d+%", ended.stdout)
    assert re.search(r"mean +secondary +green +\+\d+%", ended.stdout)
    assert service.credentials["personal_api_key"] not in ended.stdout


def test_tour__twice__does_not_trip_over_itself(service: LiveService) -> None:
    for _ in range(2):
        ended = run_tour("--credentials", str(service.data_dir / "credentials.json"))
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_tour__no_service__says_how_to_start_one() -> None:
    ended = run_tour("--credentials", "nowhere/credentials.json")
    assert ended.returncode == 1
    assert "make run" in ended.stderr
