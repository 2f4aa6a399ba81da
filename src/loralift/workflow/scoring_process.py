"""Scoring in a process of its own: beside a GPU that generates the next variant's answers, and beside this process.

A thread would not do: scoring is Python's own work, and so is handing the GPU its next step, and Python does one thing
at a time in a process. The other process is this package started again, not a fork, which CUDA forbids, and not one of
``multiprocessing``, which would run an unguarded script of the user's a second time.
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

# Generating on a GPU keeps one core busy, scoring another, and libraries some threads of their own.
FEWEST_CORES = 4

# Fewer rows are scored before another process has loaded its libraries.
MANY_ROWS = 5_000


class Scorer:
    """Scores variants: ahead, in a process of its own, where there is one; else when their scores are wanted.

    Attributes:
        scoring: What is scored and how; whoever loads the base says in it whose perplexity it is.
    """

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._begun: dict[tuple[str, str], Future[list[Score] | None]] = {}

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, also in the middle of its work."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError), self._process as process:  # closes its pipes
                process.kill()
        self._thread.shutdown()

    def score_beside(self, generator: Generator) -> None:
        """Start the process where a generator leaves the processor time for it: one on a CPU needs it all."""
        if generator.describe().numerics["device"] == "cuda" and cores() >= FEWEST_CORES:
            self._process = start()

    def begin(self, dataset: DatasetRun, variant: str) -> None:
        """Score a variant that has answered, if that can be done beside what follows."""
        if self._process is not None:
            job = (dataset, variant, self.scoring)
            self._begun[dataset.name, variant] = self._thread.submit(_ask, self._process, job)

    def share(self, dataset: DatasetRun, variants: Sequence[str]) -> None:
        """Let the process score some of these variants, which all have answered, while this one scores the others."""
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
        # what went wrong there is said here, where it goes wrong again
        return found if found is not None else score_variant(dataset, variant, self.scoring)


def _known(scores: list[Score]) -> Future[list[Score] | None]:
    """Scores that are there already."""
    known: Future[list[Score] | None] = Future()
    known.set_result(scores)
    return known


def start() -> subprocess.Popen[bytes]:
    """The process that `main` is; it loads its libraries while it waits for work."""
    command = [sys.executable, "-c", "from loralift.workflow.scoring_process import main; main()"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def main() -> None:
    """Score what standard input asks for, and answer on standard output; both in pickles, until the input ends."""
    asked = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not stand between the answers
    with contextlib.suppress(EOFError):
        while True:
            job = pickle.load(asked)
            try:
                found: list[Score] | None = score_variant(*job)
            except Exception:  # noqa: BLE001 - whatever it is, the other process meets it again and says it
                found = None
            _send(answers, found)


def _ask(process: subprocess.Popen[bytes], job: tuple[DatasetRun, str, Scoring]) -> list[Score] | None:
    """One job's scores; None where they could not be made."""
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
