"""Scoring in a process of its own, while the GPU generates the next variant's answers.

A thread would not do: scoring and launching GPU work both need Python's GIL. The process is this package started again:
no fork, which CUDA forbids, and not ``multiprocessing``, which would run an unguarded script of the user a second time.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

from loralift.cores import cores
from loralift.generation import Generator
from loralift.records import Score
from loralift.workflow import memory
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.scoring import Scoring, score_variant

# Fewest CPU cores for a second process: generating on a GPU needs one, scoring another, and libraries have threads.
FEWEST_CORES = 4

# Fewest rows for sharing the work: fewer are scored before another process has loaded its libraries.
MANY_ROWS = 5_000


class Scorer:
    """Scores variants: early in another process, if there is one; else when their scores are needed.

    Attributes:
        scoring: What is scored and how; set again when the base is loaded, for perplexity's signature.
    """

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._begun: dict[tuple[str, str], Future[list[Score] | None]] = {}

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill the process, even while it works."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError), self._process as process:  # closes its pipes
                process.kill()
        self._thread.shutdown()

    def score_beside(self, generator: Generator) -> None:
        """Start the process, unless the generator runs on the CPU and needs all cores."""
        if generator.describe().numerics["device"] == "cuda" and cores() >= FEWEST_CORES:
            self._process = start()

    def begin(self, dataset: DatasetRun, variant: str) -> None:
        """Begin to score a variant that has answered, if there is a process."""
        if self._process is not None:
            job = (dataset, variant, self.scoring)
            self._begun[dataset.name, variant] = self._thread.submit(_ask, self._process, job)

    def share(self, dataset: DatasetRun, variants: Sequence[str]) -> None:
        """Let the process score some of these variants, which have all answered, while this one scores the others."""
        if self._process is None and len(variants) > 1 and len(dataset.questions) >= MANY_ROWS and cores() > 1:
            self._process = start()
        memory.give_back()
        for variant in variants:
            if (dataset.name, variant) not in self._begun:
                self.begin(dataset, variant)

    def scores(self, dataset: DatasetRun, variant: str) -> list[Score]:
        """A variant's scores, with all its files written.

        Raises:
            LoraLiftError: What `score_variant` raises.
        """
        begun = self._begun.pop((dataset.name, variant), None)
        if begun is None or begun.cancel():
            return score_variant(dataset, variant, self.scoring)
        for other in [other for name, other in reversed(self._begun) if name == dataset.name]:
            if not begun.done() and self._begun[dataset.name, other].cancel():
                self._begun[dataset.name, other] = _known(score_variant(dataset, other, self.scoring))
        found = begun.result()
        # after an error in the process it is scored here, where the same error is raised
        return found if found is not None else score_variant(dataset, variant, self.scoring)


def _known(scores: list[Score]) -> Future[list[Score] | None]:
    """A finished future of scores."""
    known: Future[list[Score] | None] = Future()
    known.set_result(scores)
    return known


def start() -> subprocess.Popen[bytes]:
    """The process that `main` is; it loads its libraries while it waits for work."""
    command = [sys.executable, "-c", "from loralift.workflow.scoring_process import main; main()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def main() -> None:
    """The process: reads pickled jobs from standard input and writes pickled scores to standard output."""
    asked = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other output goes to standard error, so that only pickles are on standard output
    with contextlib.suppress(EOFError):
        while True:
            job = pickle.load(asked)
            try:
                found: list[Score] | None = score_variant(*job)
            except Exception:  # noqa: BLE001 - whatever it is, the other process scores again and raises it
                found = None
            _send(answers, found)


def _ask(process: subprocess.Popen[bytes], job: tuple[DatasetRun, str, Scoring]) -> list[Score] | None:
    """One job's scores; None after an error."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _send(process.stdin, job)
        found: list[Score] | None = pickle.load(process.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        return None
    return found


def _send(stream: IO[bytes], what: Any) -> None:
    pickle.dump(what, stream)
    stream.flush()
