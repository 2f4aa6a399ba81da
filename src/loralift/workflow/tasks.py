"""Tasks of lm-evaluation-harness among a run's data sets: asked and scored by lm_eval, compared as all others are.

A variant's rows are lm_eval's own sample logs, ``also/NAME/VARIANT/samples_TASK.jsonl``; answers.jsonl and scores.jsonl
are made of them. They are written when the variant has answered everything, and a resume evaluates only variants
without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from loralift.config import RunConfig
from loralift.errors import DataError, ModelError, RunDirectoryError
from loralift.generation import Generator, plainly
from loralift.generation.transformers_engine.batching import RowLimit, release_memory
from loralift.harness import StandardTask, TaskMetric, scored
from loralift.harness.evaluating import Samples, Way, evaluate
from loralift.harness.rows import asked, cut_rows, missing
from loralift.metrics import METRICS, MetricSettings
from loralift.reading import failing
from loralift.records import BASE, Comparison, MetricInfo, Score
from loralift.workflow import files
from loralift.workflow.asking import Asking
from loralift.workflow.codec import plain
from loralift.workflow.damage import REMEDY, within
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.progress import Advance, RunContext
from loralift.workflow.recorded import MADE_WITH
from loralift.workflow.scored import write_values
from loralift.workflow.scoring import Scoring

ROWS_AT_ONCE = 8
"""Rows at once where no --batch-size says it: lm_eval holds the logits of every token of them."""

SHARE = METRICS["exact_match"]
"""Values that are all 0 or 1 are a share of right answers, as those of this metric are, and have its margin."""


def way_of(asking: Asking) -> Way:
    """How a task is asked under a protocol: of the protocol it takes the chat template and the reasoning switch."""
    return Way(asking.chat, asking.switch, asking.variables or {})


def asking_of_task(asking: Asking) -> Asking:
    """A protocol's asking, with notes on what of it holds for a task."""
    through = "through the tokenizer's chat template" if asking.chat else "without a chat template"
    said = (
        f"Asked and scored as lm-evaluation-harness does, {through}, with adapters in PEFT's own layers: its prompts, "
        "limits and stop strings, and not the run's."
    )
    thinks = f"The model is told whether to think by {asking.switch or dict(asking.variables or {})}."
    return replace(asking, notes=(said, thinks) if asking.switch or asking.variables else (said,))


def evaluate_task(
    context: RunContext, dataset: DatasetRun, task: StandardTask, variant: str, generator: Generator, asking: Asking
) -> None:
    """Let lm_eval evaluate a variant, and keep its samples; does nothing where they are there.

    Raises:
        ModelError: lm_eval or the model fails.
        RunDirectoryError: Samples are there that this run did not write.
    """
    if all(path.exists() for path in _places(dataset, task, variant).values()):
        read_samples(dataset, task, variant)
        return
    with context.watcher.task(f"{variant}: {dataset.name} requests", task.requests) as advance:
        what = f"`--also lm-eval:{task.name}` cannot be evaluated for {variant}"
        with failing(what, ModelError):
            samples, said = _evaluated(context.config, task, variant, generator, way_of(asking), advance)
    for sentence in said:
        context.watcher.say(f"{variant}: {sentence}")
    made = {MADE_WITH: dataset.directory.made_with(variant)}
    answers, _ = scored(task, samples)
    files.write_jsonl(dataset.directory.answers(variant), ({**plain(answer), **made} for answer in answers))
    for name, path in _places(dataset, task, variant).items():
        files.write_jsonl(path, ({**plain(line), **made} for line in samples[name]))


def _evaluated(
    config: RunConfig, task: StandardTask, variant: str, generator: Generator, way: Way, advance: Advance
) -> tuple[Samples, tuple[str, ...]]:
    """A variant's samples and lm_eval's warnings; without memory for it all is asked again, by half as many."""
    limit = RowLimit(ROWS_AT_ONCE if config.batch_size == "auto" else config.batch_size)
    with plainly(generator, variant) as model:
        while True:
            try:
                return evaluate(task, model, generator.tokenizer, way, limit.rows, _counting(advance))
            except RuntimeError as error:
                limit.halve(error, limit.rows)
            release_memory()


def _counting(advance: Advance) -> Callable[[], None]:
    """Called for each answer, it says how many there are."""
    counted = count(1)
    return lambda: advance(next(counted))


def _places(dataset: DatasetRun, task: StandardTask, variant: str) -> dict[str, Path]:
    """Each task's sample log; its name is made of the task's, with what no folder may have written otherwise.

    Raises:
        DataError: Two tasks would have one file.
    """
    folder = dataset.directory.answers(variant).parent
    places = {name: folder / f"samples_{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.jsonl" for name in task.tasks}
    if len({path.name.lower() for path in places.values()}) < len(places):
        raise DataError(f"`--also lm-eval:{task.name}` has tasks whose names differ only in signs: rename one")
    return places


def read_samples(dataset: DatasetRun, task: StandardTask, variant: str) -> Samples:
    """The samples of a variant that was evaluated.

    Raises:
        RunDirectoryError: They are missing, damaged, or were not written by this run for this variant.
    """
    made, found = dataset.directory.made_with(variant), {}
    for name, path in _places(dataset, task, variant).items():
        with within(path):
            found[name] = list(files.read_jsonl(path))
            if not found[name] or any(line.get(MADE_WITH) != made for line in found[name]):
                raise RunDirectoryError(
                    f"{path} was not written by this run for {variant}: put the right file back, or remove it and let "
                    "--resume make it anew"
                )
    return found


def score_task(
    dataset: DatasetRun, task: StandardTask, variants: Sequence[str], run: Scoring
) -> tuple[Scoring, dict[str, list[Score]], tuple[str, ...]]:
    """The scores of every variant, written, and how they are to be compared.

    Args:
        dataset: The task's data set.
        task: The task.
        variants: All of them, which have been evaluated.
        run: The scoring of the run's own questions.

    Returns:
        The task's own metrics; variant to its scores; what a reader must know, one sentence each.

    Raises:
        RunDirectoryError: Samples are damaged, or variants were not asked the same.
        DataError: No metric that is judged has a value.
    """
    samples = {variant: read_samples(dataset, task, variant) for variant in variants}
    scores: dict[str, list[Score]] = {}
    for variant in variants:
        with within(dataset.directory.answers(variant).parent):
            scores[variant] = scored(task, samples[variant])[1]
            if asked(samples[variant]) != asked(samples[BASE]):
                raise RunDirectoryError(
                    f"{dataset.directory.root}: {variant} and {BASE} were not asked the same: {REMEDY}"
                )
    nowhere = set(missing(scores, [metric.name for metric in task.metrics]))
    metrics = [metric for metric in task.metrics if metric.name not in nowhere]
    judged = [metric.name for metric in metrics if metric.higher_is_better is not None]
    if not judged:
        raise DataError(f"`--also lm-eval:{task.name}` has nothing to judge by: lm_eval gave no row a value of it")
    infos = {metric.name: _info(metric, task, scores) for metric in metrics}
    scoring = Scoring(infos, MetricSettings(), judged[0], dataset.name, run.seed)
    for variant in variants:
        kept = [replace(score, values={name: score.values[name] for name in infos}) for score in scores[variant]]
        scores[variant] = [replace(one, unscored=_of(one.unscored, infos)) for one in kept]
        write_values(dataset, variant, scoring, scores[variant])
    return scoring, scores, tuple(_notes(task, samples[BASE]))


def _of(reasons: Mapping[str, str], names: Mapping[str, object]) -> dict[str, str]:
    return {name: why for name, why in reasons.items() if name in names}


def _info(metric: TaskMetric, task: StandardTask, scores: Mapping[str, Sequence[Score]]) -> MetricInfo:
    """The description of a task's metric: values that are all 0 or 1 are shares; of others no scale is known."""
    values = [score.values[metric.name] for of in scores.values() for score in of]
    share = all(value in (0, 1) for value in values if value is not None)
    signature = f"tool:lm-evaluation-harness|version:{task.identity['version']}|task:{Path(task.name).name}"
    return MetricInfo(
        metric.name,
        metric.title,
        low=0.0 if share else None,
        high=1.0 if share else None,
        higher_is_better=metric.higher_is_better,
        margin=SHARE.margin if share and metric.higher_is_better else None,
        signature=f"{signature}|shots:{task.identity['num_fewshot']}",
    )


def _notes(task: StandardTask, samples: Samples) -> Iterator[str]:
    if cut := cut_rows(samples):
        yield (
            f"{cut} of {len(task.questions)} rows asked more than fits the model's context window; lm_eval drops the "
            "beginning."
        )


def with_warnings(comparison: Comparison, notes: Sequence[str]) -> Comparison:
    """The comparison, whose primary rows say these sentences."""
    rows = (
        replace(row, warnings=(*row.warnings, *notes)) if row.metric == comparison.primary else row
        for row in comparison.rows
    )
    return replace(comparison, rows=tuple(rows))
