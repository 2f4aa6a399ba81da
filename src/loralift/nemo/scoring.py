"""Scores recorded answers through NeMo Evaluator's `run_evaluation`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from loralift.errors import LoraLiftError
from loralift.kept import Keeper
from loralift.metrics import MetricSettings, score_examples
from loralift.records import Example, Score, Scores
from loralift.versions import need_run

if TYPE_CHECKING:
    from loralift.nemo.parts import Together

AT_ONCE = 2_048
"""Rows of one call of the SDK: as many as four of its concurrent batches."""

type ScoreRows = Callable[[Sequence[Example]], Sequence[Score]]


def score_recorded(
    examples: Iterable[Example],
    metrics: Sequence[str],
    settings: MetricSettings,
    *,
    primary: str,
    benchmark: str = "loralift",
    variant: str = "base",
) -> tuple[Scores, dict[str, Any]]:
    """Score recorded answers.

    Args:
        examples: One a row: question, answer and, for perplexity, the reference's likelihood. AT_ONCE of them are
            taken at a time.
        metrics: Names from `loralift.metrics.METRICS`.
        settings: Settings of the metrics.
        primary: The metric that becomes the SDK's reward.
        benchmark: The benchmark's name in the bundle.
        variant: Who answered.

    Returns:
        One Score a row in the order of the examples, and the SDK's bundle of the run, in which ``_results`` are what
        it says of each row, in their order, as JSON: what the bundles of all metrics share.

    Raises:
        MissingExtraError: The SDK, or what metrics need, is not installed.
        LoraLiftError: A metric raised it; passed on unchanged.
    """
    scores, together = score_some(
        examples, metrics, settings, primary=primary, benchmark=benchmark, variant=variant, first=0
    )
    return scores, together.bundle()


def score_some(
    examples: Iterable[Example],
    metrics: Sequence[str],
    settings: MetricSettings,
    *,
    primary: str,
    benchmark: str,
    variant: str,
    first: int,
) -> tuple[Scores, Together]:
    """Score some of a variant's recorded answers; arguments and errors are those of `score_recorded`.

    ``first`` is the number of the first row among all rows, a multiple of AT_ONCE: so the SDK is given the same parts,
    whoever scores which rows.

    Returns:
        Their scores, and what the SDK says, to be put together with that of the other rows.
    """
    need_run("scoring answers")
    from loralift.nemo.bundles import shared
    from loralift.nemo.parts import Together

    results, together = Keeper[str](), Together()

    def score_rows(rows: Sequence[Example]) -> list[Score]:
        return score_examples(metrics, rows, settings)

    def scored() -> Iterator[Score]:
        for number, part in enumerate(batched(examples, AT_ONCE)):
            scores, bundle = _part(part, first + number * AT_ONCE, score_rows, primary, benchmark, variant)
            for row in sorted(bundle["_results"], key=lambda row: row["problem_idx"]):
                results.append(shared(row))
            together.add(bundle)
            yield from scores

    found = Scores.of(scored())
    if not len(found):
        together.add(_part((), first, score_rows, primary, benchmark, variant)[1])
    together.results = [results.kept()]
    return found, together


def _part(
    examples: Sequence[Example], first: int, score_rows: ScoreRows, primary: str, benchmark: str, variant: str
) -> tuple[list[Score], dict[str, Any]]:
    """Some of the rows, the first of which has this number, through the SDK."""
    from nemo_evaluator import run_evaluation

    from loralift.nemo.environment import CONCURRENT_ROWS, RecordedAnswers, ScoringEnvironment

    environment = ScoringEnvironment(benchmark, examples, score_rows, primary, first)
    solver = RecordedAnswers([example.answer for example in examples], variant, first)
    evaluation = run_evaluation(
        environment,
        solver,
        config={"model": variant, "benchmark": benchmark},
        max_concurrent=CONCURRENT_ROWS,
        max_system_retries=1,
    )
    try:
        bundle = _run(evaluation)
    except RuntimeError as error:  # how the SDK reports that a row failed; the cause is what matters
        if isinstance(error.__cause__, LoraLiftError):
            raise error.__cause__ from None
        raise
    return environment.scores, bundle


def _run(evaluation: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run a coroutine to its end, also where an event loop runs already, as in a notebook."""
    bundles: list[dict[str, Any]] = []

    async def keep() -> None:
        # stored and not returned: asyncio's runner, when it restores the handler of Ctrl-C, makes a string of the task
        # with its whole result, and discards it
        bundles.append(await evaluation)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(keep())
        return bundles[0]
    errors: list[BaseException] = []

    def in_thread() -> None:
        try:
            asyncio.run(keep())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread, whatever it is
            errors.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return bundles[0]
