"""Rows a second of two Ray workers against one: ``python -m benchmarks.workers -- --model … --adapter …``.

Whole runs of ``loralift run``, alternating, each in a folder of its own; what is timed is the stages that generate, as
``run.json`` has them, without loading and scoring. For two GPUs: a base of 8B shape (`benchmarks.random_llama`), one
adapter, 648 rows. On two cores: ``--device cpu``, where each worker gets one thread if the first run is given one too
(``taskset`` or a Ray cluster of two cores, ``--ray-address``; else a single worker has both).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def rows_a_second(arguments: list[str], workers: int, folder: Path) -> float:
    """Answers a second of one run, of all variants together.

    Args:
        arguments: Of ``loralift run``, without workers and folder.
        workers: How many.
        folder: Of the run; new.
    """
    command = [sys.executable, "-m", "loralift", "run", *arguments, "--workers", str(workers), "-o", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    seconds = sum(took for stage, took in run["seconds"].items() if stage.startswith("generate "))
    answers = sum(len(path.read_bytes().splitlines()) for path in folder.glob("*/answers.jsonl"))
    return float(answers / seconds)


def main() -> None:
    """Measure, and print each figure and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument("arguments", nargs="+", help="of loralift run, after --")
    given = parser.parse_args()
    found: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(given.rounds):
            for workers, figures in found.items():
                figures.append(rows_a_second(given.arguments, workers, Path(place) / f"{workers}-{number}"))
                print(f"{workers} workers: {figures[-1]:.2f} rows/s", flush=True)
    print(f"two against one: {statistics.median(found[2]) / statistics.median(found[1]):.2f}")


if __name__ == "__main__":
    main()
