"""Scoring in processes of their own, while the GPU generates the next variant's answers.

There is one, or with Ray workers as many as these, each with a GPU of its own where there are any: they score whole
calls of the SDK, of one variant or of several, and the scores are the same whoever scored what.

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
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from queue import SimpleQueue
from typing import IO, Any, Literal

from loralift.config import RunConfig
from loralift.cores import cores
from loralift.errors import first_line
from loralift.generation import Generator
from loralift.records import Example, Question, Scores
from loralift.workflow import memory
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.scored import (
    Scored,
    ScoredRows,
    score_anew,
    score_rows,
    score_variant,
    shared_out,
    united,
    write_scored,
)
from loralift.workflow.scoring import Scoring, Tried, try_metrics, with_settings

# Fewest CPU cores for a second process: generating on a GPU needs one, scoring another, and libraries have threads.
FEWEST_CORES = 4

# Fewest rows for sharing the work: fewer are scored before another process has loaded its libraries.
MANY_ROWS = 5_000

# Most processes: what one of them gives back, this one puts together, a few thousand rows a second.
MOST_PROCESSES = 16


type Does = Literal["score", "anew", "try"]
type Asked = tuple[int, Does, tuple[Any, ...]]
"""The number of a question to a process, which its reply repeats, what is asked, and the function's arguments."""

_NUMBERS = count()

DOES: Mapping[str, Callable[..., Any]] = {"score": score_rows, "anew": score_anew, "try": try_metrics}

type Found = ScoredRows | str
"""What scoring gave, or why it failed."""


@dataclass
class _Job:
    """Some rows of a variant that a process is to score.

    Attributes:
        variant: Whose.
        rows: Which, as of `shared_out`.
        found: What it finds.
    """

    variant: str
    rows: slice
    found: Future[Found]


class Scorer:
    """Scores variants: early in other processes, if there are any; else when their scores are needed.

    Attributes:
        scoring: What is scored and how; set again when the base is loaded, for perplexity's signature.
    """

    def __init__(self, scoring: Scoring, say: Callable[[str], None], gpus: Sequence[str] = ("",)) -> None:
        """Store the arguments; no process is started yet.

        Args:
            scoring: What is scored and how.
            say: Told what a user must know.
            gpus: What each process gets, as of `gpus_of`.
        """
        self.scoring = scoring
        self._say = say
        self._gpus = tuple(gpus)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._threads = ThreadPoolExecutor(max_workers=len(self._gpus))
        self._begun: dict[tuple[str, str], list[_Job]] = {}
        self._trial: tuple[Callable[[], Tried], Future[Tried | str]] | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill the processes, even while they work."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for one in self._processes:
            with contextlib.suppress(BrokenPipeError), one as process:  # closes its pipes
                process.kill()
        self._threads.shutdown()

    def begin_to_try(self, config: RunConfig, questions: Sequence[Question], decisive: Sequence[Question]) -> None:
        """Begin to try the metrics in a process, where a model is loaded onto a GPU here meanwhile; else try them.

        Args:
            config: What is evaluated and how.
            questions: Of all data sets that are scored.
            decisive: Of the one that decides.

        Raises:
            LoraLiftError: What `try_metrics` raises; from the process `tried` raises it.
        """
        given = (self.scoring, questions, decisive)
        if loads_onto_gpu(config) and cores() >= FEWEST_CORES:
            self._start(1)
            begun = self._ask("try", *given)
        else:
            begun = _known(try_metrics(*given))
        self._trial = partial(try_metrics, *given), begun

    def tried(self) -> list[str]:
        """What a reader must know of the metrics, once they were tried; the scoring then says of what their models are.

        Raises:
            LoraLiftError: A metric cannot run, or the primary one cannot see the references.
        """
        assert self._trial is not None
        trial, found = self._trial
        tried = found.result()
        # tried again here, where the same error is raised with its class
        tried = trial() if isinstance(tried, str) else tried
        self.scoring = with_settings(self.scoring, weights=tried.weights)
        return tried.notes

    def score_beside(self, generator: Generator) -> None:
        """Start the processes, unless the generator runs on the CPU and needs all cores."""
        if generator.describe().numerics["device"] == "cuda" and cores() >= FEWEST_CORES:
            self._start(len(self._gpus))

    def begin(self, dataset: DatasetRun, variant: str) -> None:
        """Begin to score a variant that has answered, if there are processes."""
        if self._processes:
            self._begun[dataset.part, variant] = [
                _Job(variant, rows, self._ask("score", dataset, variant, self.scoring, rows))
                for rows in shared_out(dataset, len(self._processes))
            ]

    def share(self, dataset: DatasetRun, variants: Sequence[str]) -> None:
        """Let the processes score some of these variants, which have all answered, while this one scores the others."""
        if not self._processes and len(variants) > 1 and len(dataset.questions) >= MANY_ROWS and cores() > 1:
            self._start(len(self._gpus))
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
        """The scores of other answers than the run's, in a process if there is one, which has its models loaded.

        Raises:
            LoraLiftError: What `score_anew` raises.
        """
        given = (dataset, variant, self.scoring, examples)
        if self._processes and examples:
            found = self._ask("anew", *given).result()
            if isinstance(found, Scores):
                return found
            self._say_failed(variant, found)
        return score_anew(*given)

    def _start(self, count: int) -> None:
        for gpu in self._gpus[len(self._processes) : count]:
            process = start(gpu)
            self._processes.append(process)
            self._free.put(process)

    def _ask(self, does: Does, *given: Any) -> Future[Any]:
        """Let the next process that is free do something."""
        return self._threads.submit(self._answer, does, given)

    def _answer(self, does: Does, given: tuple[Any, ...]) -> Any:
        process = self._free.get()
        try:
            return ask(process, does, given)
        finally:  # one that has ended fails at once, and would take all that waits, were there others
            if process.poll() is None or all(one.poll() is not None for one in self._processes):
                self._free.put(process)

    def _scored(self, dataset: DatasetRun, variant: str) -> Scored:
        jobs = self._begun.pop((dataset.part, variant), None)
        if jobs is None:
            return score_variant(dataset, variant, self.scoring)
        self._help(dataset, jobs)
        for other in [job for (part, _), of in reversed(self._begun.items()) if part == dataset.part for job in of]:
            if not all(job.found.done() for job in jobs):
                self._help(dataset, [other])
        return united(dataset, [self._found(dataset, job) for job in jobs])

    def _help(self, dataset: DatasetRun, jobs: Sequence[_Job]) -> None:
        """Score here what no process has begun with, the last first."""
        for job in reversed(jobs):
            if job.found.cancel():
                job.found = _known(score_rows(dataset, job.variant, self.scoring, job.rows))

    def _found(self, dataset: DatasetRun, job: _Job) -> ScoredRows:
        found = job.found.result()
        if isinstance(found, ScoredRows):
            return found
        self._say_failed(job.variant, found)
        return score_rows(dataset, job.variant, self.scoring, job.rows)

    def _say_failed(self, variant: str, why: str) -> None:
        """Say so; here the same error is raised with its class if it is one of the answers and not of the process."""
        self._say(f"{variant}: scoring beside failed ({why}), so it is scored here")


def gpus_of(config: RunConfig) -> tuple[str, ...]:
    """What each scoring process of a run gets: with Ray workers as many as these, each with a GPU of this machine.

    The GPUs are all of the first one's kind. On CPUs there is one process less than workers, since this process scores
    too; all have as many threads as this one, since a sum's last digits may depend on how many there are.

    Args:
        config: What is evaluated and how.

    Returns:
        For each process its GPU, as ``CUDA_VISIBLE_DEVICES`` names it; empty: what this process has.
    """
    if config.workers is None:
        return ("",)
    import torch

    workers = config.workers if isinstance(config.workers, int) else 0
    if (config.device or "auto") in ("auto", "cuda") and torch.cuda.is_available():
        there = torch.cuda.device_count()
        named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        gpus = named or [str(number) for number in range(there)]
        if len(gpus) != there:  # a name that is none hides all behind it
            return ("",)
        kinds = [torch.cuda.get_device_name(number) for number in range(there)]
        # another kind's sums may differ in the last digits, and who scores what is chance
        gpus = [gpu for gpu, kind in zip(gpus, kinds, strict=True) if kind == kinds[0]]
        return tuple(gpus[: max(min(workers or there, cores() // 2, MOST_PROCESSES), 1)])
    return ("",) * max(min(workers, cores(), MOST_PROCESSES) - 1, 1)


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


def start(gpu: str = "") -> subprocess.Popen[bytes]:
    """The process that `main` is; it loads its libraries while it waits for work, and shows its warnings as we do.

    Args:
        gpu: The one that it sees; empty: those that this process sees.
    """
    # the same modules as here: without -P a stranger's numpy.py in the working directory would run
    code = f"import sys; sys.path[:] = {sys.path!r}; from loralift.workflow.scoring_process import main; main()"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": gpu} if gpu else None
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def main() -> None:
    """The process: reads pickled jobs from standard input and writes pickled results to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the other process ends this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # other output goes to standard error, so that only pickles are on standard output
    jobs: SimpleQueue[Asked] = SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        number, does, given = jobs.get()
        try:
            found: Any = DOES[does](*given)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other process scores again and raises it
            found = f"{type(error).__name__}: {first_line(error)}"
        _send(answers, (number, found))


def _read_jobs(stream: IO[bytes], jobs: SimpleQueue[Asked]) -> None:
    """Wait for jobs in a thread of its own, so that the end of the other process, even killed, ends this one too."""
    try:
        while True:
            jobs.put(pickle.load(stream))
    finally:
        os._exit(0)


def ask(process: subprocess.Popen[bytes], does: Does, given: tuple[Any, ...]) -> Any:
    """What a process gives for what is asked, or why it failed; one that does not reply to just that is ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    number = next(_NUMBERS)
    try:
        _send(process.stdin, (number, does, given))
        replied, found = pickle.load(process.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        process.kill()
        return f"its process ended with {process.wait()}"
    if replied != number:
        process.kill()
        return f"its process replied to question {replied}, and not to {number}"
    return found


def _send(stream: IO[bytes], what: Any) -> None:
    pickle.dump(what, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()
