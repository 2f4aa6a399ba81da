"""Scoring in a process of its own, while the GPU generates the next variant's answers.

The metrics are tried there too, while the model is loaded here: their libraries take as long to import as the model's.

A thread would not do: scoring and launching GPU work both need Python's GIL. The process is this package started again:
no fork, which CUDA forbids, and not ``multiprocessing``, which would run an unguarded script of the user a second time.

It writes no file: what it finds it returns, and only the process that holds the run's lock writes. It ends when that
one ends, however that ends: a session that was killed must not change what a later one has finished.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from queue import SimpleQueue
from typing import IO, Any, Literal

from loralift.config import RunConfig
from loralift.cores import cores
from loralift.errors import first_line
from loralift.generation import Generator
from loralift.records import Example, Question, Scores
from loralift.workflow import memory
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.scoring import Scored, Scoring, score_anew, score_variant, try_metrics, write_scored

# Fewest CPU cores for a second process: generating on a GPU needs one, scoring another, and libraries have threads.
FEWEST_CORES = 4

# Fewest rows for sharing the work: fewer are scored before another process has loaded its libraries.
MANY_ROWS = 5_000


type Job = tuple[Literal["score", "anew", "try"], tuple[Any, ...]]
"""What is asked of the process, and the arguments of the function that does it."""

DOES: Mapping[str, Callable[..., Any]] = {"score": score_variant, "anew": score_anew, "try": try_metrics}

type Found = Scored | str
"""What scoring gave, or why it failed."""

type Tried = list[str] | str
"""What trying the metrics gave, or why it failed."""


class Scorer:
    """Scores variants: early in another process, if there is one; else when their scores are needed.

    Attributes:
        scoring: What is scored and how; set again when the base is loaded, for perplexity's signature.
    """

    def __init__(self, scoring: Scoring, say: Callable[[str], None]) -> None:
        self.scoring = scoring
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._begun: dict[tuple[str, str], Future[Found]] = {}
        self._trial: tuple[Callable[[], list[str]], Future[Tried]] | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill the process, even while it works."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError), self._process as process:  # closes its pipes
                process.kill()
        self._thread.shutdown()

    def begin_to_try(self, config: RunConfig, questions: Sequence[Question], decisive: Sequence[Question]) -> None:
        """Begin to try the metrics in the process, where a model is loaded onto a GPU here meanwhile; else try them.

        Args:
            config: What is evaluated and how.
            questions: Of all data sets that are scored.
            decisive: Of the one that decides.

        Raises:
            LoraLiftError: What `try_metrics` raises; from the process `tried` raises it.
        """
        given = (self.scoring, questions, decisive)
        if loads_onto_gpu(config) and cores() >= FEWEST_CORES:
            self._process = start()
            begun = self._thread.submit(_ask, self._process, ("try", given))
        else:
            begun = _known(try_metrics(*given))
        self._trial = partial(try_metrics, *given), begun

    def tried(self) -> list[str]:
        """What a reader must know of the metrics, one sentence each, once they were tried.

        Raises:
            LoraLiftError: A metric cannot run, or the primary one cannot see the references.
        """
        assert self._trial is not None
        trial, found = self._trial
        notes = found.result()
        # tried again here, where the same error is raised with its class
        return trial() if isinstance(notes, str) else notes

    def score_beside(self, generator: Generator) -> None:
        """Start the process, unless the generator runs on the CPU and needs all cores."""
        if self._process is None and generator.describe().numerics["device"] == "cuda" and cores() >= FEWEST_CORES:
            self._process = start()

    def begin(self, dataset: DatasetRun, variant: str) -> None:
        """Begin to score a variant that has answered, if there is a process."""
        if self._process is not None:
            job: Job = ("score", (dataset, variant, self.scoring))
            self._begun[dataset.part, variant] = self._thread.submit(_ask, self._process, job)

    def share(self, dataset: DatasetRun, variants: Sequence[str]) -> None:
        """Let the process score some of these variants, which have all answered, while this one scores the others."""
        if self._process is None and len(variants) > 1 and len(dataset.questions) >= MANY_ROWS and cores() > 1:
            self._process = start()
        memory.give_back()
        for variant in variants:
            if (dataset.part, variant) not in self._begun:
                self.begin(dataset, variant)

    def scores(self, dataset: DatasetRun, variant: str) -> Scores:
        """A variant's scores, with all its files written.

        Raises:
            LoraLiftError: What `score_variant` and `write_scored` raise.
        """
        scored = self._scored(dataset, variant)
        write_scored(dataset, variant, self.scoring, scored)
        return scored.scores

    def anew(self, dataset: DatasetRun, variant: str, examples: Sequence[Example]) -> Scores:
        """The scores of other answers than the run's, in the process if there is one, which has its models loaded.

        Raises:
            LoraLiftError: What `score_anew` raises.
        """
        given = (dataset, variant, self.scoring, examples)
        if self._process is not None and examples:
            found = self._thread.submit(_ask, self._process, ("anew", given)).result()
            if isinstance(found, Scores):
                return found
            self._say_failed(variant, found)
        return score_anew(*given)

    def _scored(self, dataset: DatasetRun, variant: str) -> Scored:
        begun = self._begun.pop((dataset.part, variant), None)
        if begun is None or begun.cancel():
            return score_variant(dataset, variant, self.scoring)
        for other in [other for part, other in reversed(self._begun) if part == dataset.part]:
            if not begun.done() and self._begun[dataset.part, other].cancel():
                self._begun[dataset.part, other] = _known(score_variant(dataset, other, self.scoring))
        found = begun.result()
        if isinstance(found, Scored):
            return found
        self._say_failed(variant, found)
        return score_variant(dataset, variant, self.scoring)

    def _say_failed(self, variant: str, why: str) -> None:
        """Say so; here the same error is raised with its class if it is one of the answers and not of the process."""
        self._say(f"{variant}: scoring beside failed ({why}), so it is scored here")


def loads_onto_gpu(config: RunConfig) -> bool:
    """Whether a run will load its model onto a CUDA GPU, by the transformers engine.

    vLLM measures the GPU's memory as it starts, and another process must not take of it meanwhile.
    """
    import torch

    on_gpu = (config.device or "auto").startswith(("auto", "cuda")) and torch.cuda.is_available()
    return on_gpu and (config.engine == "transformers" or find_spec("vllm") is None)


def _known[Result](result: Result) -> Future[Any]:
    """A finished future."""
    known: Future[Any] = Future()
    known.set_result(result)
    return known


def start() -> subprocess.Popen[bytes]:
    """The process that `main` is; it loads its libraries while it waits for work, and shows its warnings as we do."""
    # the same modules as here: without -P a stranger's numpy.py in the working directory would run
    code = f"import sys; sys.path[:] = {sys.path!r}; from loralift.workflow.scoring_process import main; main()"
    return subprocess.Popen([sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def main() -> None:
    """The process: reads pickled jobs from standard input and writes pickled results to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the other process ends this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other output goes to standard error, so that only pickles are on standard output
    jobs: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        job = jobs.get()
        try:
            does, given = job
            found: Any = DOES[does](*given)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other process scores again and raises it
            found = f"{type(error).__name__}: {first_line(error)}"
        _send(answers, found)


def _read_jobs(stream: IO[bytes], jobs: SimpleQueue[Job]) -> None:
    """Wait for jobs in a thread of its own, so that the end of the other process, even killed, ends this one too."""
    try:
        while True:
            jobs.put(pickle.load(stream))
    finally:
        os._exit(0)


def _ask(process: subprocess.Popen[bytes], job: Job) -> Any:
    """One job's result, or why it failed."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _send(process.stdin, job)
        found = pickle.load(process.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        return f"its process ended with {process.poll()}"
    return found


def _send(stream: IO[bytes], what: Any) -> None:
    pickle.dump(what, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()
