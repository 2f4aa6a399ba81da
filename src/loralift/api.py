"""`loralift.evaluate` and `loralift.compare`: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loralift import arguments
from loralift.config import parse
from loralift.metrics import own_metrics as metrics_of
from loralift.records import Comparison
from loralift.versions import need_run
from loralift.workflow.compare_inputs import Asked, compare_sides
from loralift.workflow.progress import Watcher

if TYPE_CHECKING:
    from loralift.workflow.concluding import RunResult

SIDE = "a path: a run's variant, or a .jsonl"


def evaluate(*, resume: bool = False, watcher: Watcher | None = None, **config: Any) -> RunResult:
    """Evaluate a base model and its adapters, and compare them: `loralift run` as a function.

    >>> result = evaluate(model="my-model", adapters={"mine": "my-lora"}, limit=50)  # doctest: +SKIP
    >>> result.report.comparison.verdicts["mine"]  # doctest: +SKIP
    'better'

    Args:
        resume: Whether to go on with the run in `output_dir`.
        watcher: Told what is being done; None: nobody.
        **config: The fields of `loralift.config.RunConfig`, which are the flags of `loralift run`.

    Raises:
        LoraLiftError: One line on what is wrong.
    """
    need_run("`loralift.evaluate`")
    from loralift.workflow.running import run

    return run(parse(config), resume=resume, watcher=watcher)


def compare(
    baseline: str | Path,
    candidate: str | Path,
    *further: str | Path,
    metrics: Iterable[str] | None = None,
    primary: str | None = None,
    margins: Mapping[str, float] | None = None,
    scales: Mapping[str, tuple[float, float]] | None = None,
    higher_is_better: Collection[str] = (),
    lower_is_better: Collection[str] = (),
    seed: int | None = None,
    tokenizer: str | None = None,
    own_metrics: Iterable[str | Callable[..., Any]] = (),
    thinking: str | None = None,
    allow_different: Collection[str] = (),
) -> Comparison:
    """Compare sides that lie on the disk: `loralift compare` as a function.

    Args:
        baseline: A run's variant (RUN/base), or a .jsonl of scores or of predictions.
        candidate: Likewise; the one that is judged.
        further: Further candidates, all of one family of tests.
        metrics: Which metrics; None: all that every side has.
        primary: The metric that decides; None: the run's, else semantic_similarity, else the first.
        margins: Metric to equivalence margin, where it is not the metric's own; of a file of scores none is known.
        scales: For files of scores: metric, or ``baseline:METRIC`` or ``candidate:METRIC``, to its smallest and largest
            possible value, as in ``{"candidate:rougeL": (0, 100)}``.
        higher_is_better: Metrics of a file of scores of which more is better, where the name does not say it.
        lower_is_better: Likewise less.
        seed: Of every resampling; None: the run's, or 0.
        tokenizer: Of BLEU, ROUGE and token F1, for predictions that are scored here; None: for English.
        own_metrics: Metrics of your own, which score the answers of both sides besides: ``FILE.py:FUNCTION``, the name
            of an installed one, or a function.
        thinking: Whether thinking is parted from predictions that are scored here ("part", which None is too) or scored
            with them ("keep").
        allow_different: What two sides may differ in all the same, by the names that the refusal gives, such as "stop".

    Raises:
        LoraLiftError: One line on what is wrong.
    """
    asked = Asked(
        primary,
        {} if margins is None else margins,
        {} if scales is None else scales,
        higher_is_better,
        lower_is_better,
        seed,
    )
    names = None if metrics is None else arguments.names("metrics", metrics, "a list of metric names, each once")
    before, after = arguments.path("baseline", baseline, SIDE), arguments.path("candidate", candidate, SIDE)
    others = [arguments.path("candidate", path, SIDE) for path in further]
    how = {"tokenizer": tokenizer, "thinking": thinking, "allow_different": allow_different}
    own = metrics_of("own_metrics", own_metrics)
    comparison, _ = compare_sides(before, after, names, asked, *others, own=own, **how)
    return comparison
