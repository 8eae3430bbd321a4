"""Who lives by a lifeline ends after the process that passed it on, and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live_service import ROOT, environment

# Tells, when it is ordered to end, whether its starter still lived.
CHILD = """
import os, signal, sys
from pathlib import Path
from experiments_service import lifeline

starter = os.getppid()

def end(*_):
    Path(sys.argv[1]).write_text("before" if os.getppid() == starter else "after")
    sys.exit()

signal.signal(signal.SIGTERM, end)
lifeline.end_with_starter()
print("watching", flush=True)
while True:
    signal.pause()
"""
# Lets go of the pipe some time before it has ended, as a killed process may.
STARTER = """
import os, subprocess, sys, time
from experiments_service import lifeline

reading_end, writing_end = os.pipe()
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1], sys.argv[2]],
    env={**os.environ, **lifeline.passed_on(reading_end)}, pass_fds=[reading_end], stdout=subprocess.PIPE,
)
child.stdout.readline()
os.close(writing_end)
time.sleep(float(sys.argv[3]))
os._exit(0)
"""


@pytest.mark.parametrize("seconds", ["0", "0.5"])
def test_end_with_starter__comes_after_the_starter_has_ended(tmp_path: Path, seconds: str) -> None:
    told = tmp_path / "told"
    # Its output ends when both of them have ended.
    subprocess.run(
        [sys.executable, "-c", STARTER, CHILD, str(told), seconds],
        cwd=ROOT,
        env=environment(),
        check=True,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert told.read_text() == "after"
