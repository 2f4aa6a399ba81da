"""The short form of `benchmarks/chaos`: runs that are killed, starved and run into each other come back whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="kills processes and looks at /proc")
def test_disturbed_runs_come_back_whole_and_nothing_changes_a_finished_one() -> None:
    few = ["--runs", "1", "--disks", "1", "--pairs", "1", "--orphans", "1", "--seed", "7"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *few], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'disturbed': 1" in done.stdout
    assert "0 wrong" in done.stdout
