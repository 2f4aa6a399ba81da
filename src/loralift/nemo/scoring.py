"""Scores recorded answers through NeMo Evaluator's `run_evaluation`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from loralift.errors import LoraLiftError
from loralift.metrics import MetricSettings, score_examples
from loralift.records import Example, Score
from loralift.versions import need_run


def score_recorded(
    examples: Sequence[Example],
    metrics: Sequence[str],
    settings: MetricSettings,
    *,
    primary: str,
    benchmark: str = "loralift",
    variant: str = "base",
) -> tuple[list[Score], dict[str, Any]]:
    """Score recorded answers.

    Args:
        examples: One a row: question, answer and, for perplexity, the reference's likelihood.
        metrics: Names from `loralift.metrics.METRICS`.
        settings: Settings of the metrics.
        primary: The metric that becomes the SDK's reward.
        benchmark: The benchmark's name in the bundle.
        variant: Who answered.

    Returns:
        One Score a row in the order of the examples, and the SDK's bundle of the run.

    Raises:
        MissingExtraError: The SDK, or what metrics need, is not installed.
        LoraLiftError: A metric raised it; passed on unchanged.
    """
    need_run("scoring answers")
    from nemo_evaluator import run_evaluation

    from loralift.nemo.environment import CONCURRENT_ROWS, RecordedAnswers, ScoringEnvironment

    environment = ScoringEnvironment(benchmark, examples, lambda rows: score_examples(metrics, rows, settings), primary)
    solver = RecordedAnswers([example.answer for example in examples], variant)
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
    del bundle["_artifacts"]  # a second copy of every row
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
