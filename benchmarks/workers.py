"""Rows a second of two Ray workers against one: ``python -m benchmarks.workers --out FILE -- --model …``.

Whole runs of ``loralift run``, alternating, each in a folder of its own; what is timed is the stages that generate, as
`run.json` has them, without loading and scoring. For two GPUs: a base of 8B shape (`benchmarks.random_llama`), one
adapter, 648 rows.

On a CPU ``--cores-each 1`` gives one thread to each worker, also where there is only one: each run joins a Ray cluster
of just so many cores, which is started for it, since a single worker would else get all cores of the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from loralift.cores import cores


@contextmanager
def cluster_of(count: int | None) -> Iterator[list[str]]:
    """A Ray cluster of so many cores; gives the arguments of ``loralift run`` that join it. None: each run's own."""
    if count is None:
        yield []
        return
    import ray

    context = ray.init(num_cpus=count, include_dashboard=False, object_store_memory=128 << 20, log_to_driver=False)
    try:
        yield ["--ray-address", context.address_info["address"], "--device", "cpu"]
    finally:
        ray.shutdown()


def rows_a_second(arguments: Sequence[str], workers: int, folder: Path) -> float:
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
    print(f"{workers} workers: {answers} answers in {seconds:.1f} s, {answers / seconds:.2f} rows/s", flush=True)
    return float(answers / seconds)


def table(found: Mapping[int, Sequence[float]], what: str) -> str:
    """The figures of every round, their medians and the ratio of these.

    Args:
        found: Rows a second of each round, by the number of workers.
        what: What was measured, in words.
    """
    medians = {workers: statistics.median(figures) for workers, figures in found.items()}
    lines = [
        f"| {workers} | {' | '.join(f'{figure:.2f}' for figure in figures)} | {medians[workers]:.2f} |"
        for workers, figures in found.items()
    ]
    rounds = range(1, len(found[1]) + 1)
    head = ["| workers | " + " | ".join(f"round {number}" for number in rounds) + " | median |"]
    head.append("| --- |" + " ---: |" * (len(rounds) + 1))
    ratio = f"Two against one: **{medians[2] / medians[1]:.2f}** times the rows a second."
    return "\n".join([what, "", *head, *lines, "", ratio, ""])


def main() -> None:
    """Measure, print each figure and the ratio of the medians, and write them down where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument(
        "--cores-each", type=int, help="cores of each worker, on a cluster of no more; else all of them"
    )
    parser.add_argument("--out", type=Path, help="a .md for the figures")
    parser.add_argument("arguments", nargs="+", help="of loralift run, after --")
    given = parser.parse_args()
    found: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(given.rounds):
            for workers, figures in found.items():
                with cluster_of(given.cores_each and given.cores_each * workers) as joined:
                    folder = Path(place) / f"{workers}-{number}"
                    figures.append(rows_a_second([*given.arguments, *joined], workers, folder))
    each = "its share of the cores" if given.cores_each is None else f"{given.cores_each} thread(s) each"
    said = table(found, f"Rows a second of Ray workers, {each}, on a machine of {cores()} cores.")
    print(said)
    if given.out is not None:
        given.out.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    main()
