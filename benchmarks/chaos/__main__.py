"""``python -m benchmarks.chaos``: disturb many runs; compare each, byte for byte, with one that nobody disturbed."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

# before the libraries are loaded
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}

from benchmarks.chaos import sessions, trials
from benchmarks.chaos.faults import Fault

FULL = (8, 40, 80, 120, 160, 200, 240, 320, 400, 480, 560, 640, 720, 800, 880)
"""Sizes, in kilobytes, of file systems that become full; a whole run takes about a megabyte."""


@dataclass
class Tally:
    """What was tried, and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def try_one(self, kind: str, name: str, trial: Iterator[str]) -> None:
        """Run a trial and say at once what is wrong with it."""
        self.tried[kind] += 1
        found = [f"{kind} {name}: {what}" for what in trial]
        self.wrong += found
        print("\n".join(found) or f"{kind} {name}: whole", flush=True)


def main() -> int:
    """Try everything; returns 1 where something was lost, mixed up or left over."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    sessions.load()
    of, tally = trials.undisturbed(folder), Tally()
    tally.try_one("same", "twice", trials.same_twice(of))
    for number in range(options.runs):
        faults: list[Fault] = []
        trial = trials.disturbed(of, Random(options.seed * 1_000_003 + number), f"run-{number}", faults)
        tally.try_one("disturbed", str(number), trial)
        tally.faults.update("error" if fault.error else fault.call or "time" for fault in faults)
        _remove(folder, f"run-{number}", number, tally)
    _each(options.disks, "full disk", lambda n: trials.full_disk(of, FULL[n % len(FULL)]), tally)
    _each(options.pairs, "two at once", lambda n: trials.two_at_once(of, f"two-{n}"), tally)
    _each(options.orphans, "orphan", lambda n: trials.orphan(of, f"orphan-{n}", options.watch), tally)
    print(f"tried {dict(tally.tried)}, faults {dict(tally.faults)}; {len(tally.wrong)} wrong")
    if not tally.wrong:
        shutil.rmtree(folder)
    return 1 if tally.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="with up to three kills or errors each")
    parser.add_argument("--disks", type=int, default=len(FULL), help="runs on a file system that becomes full")
    parser.add_argument("--pairs", type=int, default=5, help="times that two runs want one folder")
    parser.add_argument("--orphans", type=int, default=5, help="kills while a process beside scores")
    parser.add_argument("--watch", type=float, default=30.0, help="most seconds in which an orphan must end")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args()


def _each(times: int, kind: str, trial: Callable[[int], Iterator[str]], tally: Tally) -> None:
    for number in range(times):
        try:
            tally.try_one(kind, str(number), trial(number))
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            print(f"{kind}: not tried, since no file system can be mounted here: {error}")
            return


def _remove(folder: Path, name: str, number: int, tally: Tally) -> None:
    """Remove a run that came back whole; others stay to be looked at."""
    if not any(line.startswith(f"disturbed {number}:") for line in tally.wrong):
        shutil.rmtree(folder / name, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
