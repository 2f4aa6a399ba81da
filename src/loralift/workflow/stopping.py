"""Asking block by block until every verdict is sure: which questions are asked, and what a stopped run is.

A stopped run is a run of the questions that it asked. ``dataset.jsonl`` holds all of them, since the fingerprint is of
all, and run.json says how many were asked, after how many one looked, and whether that was enough. A resume believes
it: what was looked at is not looked at again, so that nothing is decided twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from loralift.comparison import drawn, looks_of, reach_of, sure_so_far
from loralift.comparison.stopping import BLOCK, ON_THE_WAY
from loralift.config import RunConfig
from loralift.errors import UsageError
from loralift.generation import Generator
from loralift.metrics import score_examples
from loralift.records import BASE, Confounds, Example, Score, Stopping
from loralift.workflow import files
from loralift.workflow.asking import Asked
from loralift.workflow.codec import plain
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import generate_variant
from loralift.workflow.progress import RunContext
from loralift.workflow.recorded import read_answers
from loralift.workflow.run_directory import of_asked, stopping_of
from loralift.workflow.scoring import Scoring, parting_settings, settings_of


def rule_of(config: RunConfig, scoring: Scoring) -> dict[str, Any] | None:
    """What decides when a run stops, for its fingerprint: a resume by another rule would be a second look.

    Raises:
        UsageError: The primary metric is not known row by row on a range.
    """
    if not config.stop_when_sure:
        return None
    info, settings = scoring.metrics[scoring.primary], settings_of(config, scoring)
    return {
        "metric": info.name,
        "signature": info.signature,
        "reach": reach_of(info),
        "margin": settings.margin(info),
        "alpha": settings.alpha,
        "on_the_way": ON_THE_WAY,
        "block": BLOCK,
    }


def refuse_dependent(config: RunConfig, dataset: DatasetRun) -> None:
    """Refuse questions of which several belong together.

    Raises:
        UsageError: They do.
    """
    if config.stop_when_sure and dataset.clusters is not None:
        raise UsageError(
            "`--stop-when-sure` needs independent questions, and these are turns of conversations: leave it out"
        )


def answer_until_sure(
    context: RunContext, dataset: DatasetRun, scoring: Scoring, generator: Generator, asked: Asked
) -> tuple[DatasetRun, Asked]:
    """Let all variants answer block after block, until the verdict on every adapter is sure.

    All are asked each block, also those whose verdict is sure already: so every row has everybody's answer, and what is
    sure stays so.

    Returns:
        The data set and the prompts, of the questions that were asked alone.
    """
    directory, seed = dataset.directory, context.config.seed
    ids = [question.id for question in dataset.data.questions]
    order, looks = drawn(ids, seed), looks_of(len(ids), BLOCK)
    stopping = stopping_of(directory.read_run()) or Stopping(0, len(ids), seed, (), sure=False)
    scored: dict[str, dict[str, Score]] = {}
    for number, end in enumerate(looks, start=1):
        if end < stopping.rows:  # a resume: it was looked at, and went on
            continue
        some_of = frozenset(order[:end])
        with context.clock.stage("generate in blocks"):
            for variant in generator.variants:
                generate_variant(context, dataset, variant, generator, asked, perplexity=False, only=some_of)
        if end > stopping.rows:
            stopping = Stopping(end, len(ids), seed, looks[:number], sure=False)
            with context.clock.stage("look"):
                stopping = _looked(context, dataset, scoring, order[:end], stopping, scored)
            files.write_json(directory.run, {**directory.read_run(), "stopping": plain(stopping)})
        if stopping.sure:
            break
    context.watcher.say(f"stopping: {said(stopping)}")
    return cut(dataset, stopping), replace(asked, prompts=of_asked(asked.prompts, stopping))


def _looked(
    context: RunContext,
    dataset: DatasetRun,
    scoring: Scoring,
    ids: Sequence[str],
    stopping: Stopping,
    scored: dict[str, dict[str, Score]],
) -> Stopping:
    """How far one is after one look more; `scored` holds each variant's rows by id, and is added to."""
    settings, info = settings_of(context.config, scoring), scoring.metrics[scoring.primary]
    for variant in (BASE, *context.config.compared):
        rows = scored.setdefault(variant, {})
        rows |= _scores(dataset, variant, scoring, {row for row in ids if row not in rows})
    base, *others = (list(scored[variant].values()) for variant in (BASE, *context.config.compared))
    scores = dict(zip(context.config.compared, others, strict=True))
    verdicts = sure_so_far(base, scores, info, settings, stopping)
    told = ", ".join(
        f"{name} {'not sure' if verdict == 'inconclusive' else verdict}" for name, verdict in verdicts.items()
    )
    context.watcher.say(f"stopping: after {stopping.rows} of {stopping.of} questions {told}")
    return replace(stopping, sure="inconclusive" not in verdicts.values())


def _scores(dataset: DatasetRun, variant: str, scoring: Scoring, ids: Collection[str]) -> dict[str, Score]:
    """A variant's rows on the metric that decides, by id."""
    answers = read_answers(dataset.directory, variant, signed=True)
    examples = [Example(one, answers[one.id]) for one in dataset.data.questions if one.id in ids]
    scores = score_examples([scoring.primary], examples, parting_settings(dataset.directory, scoring))
    return {score.id: score for score in scores}


def cut(dataset: DatasetRun, stopping: Stopping) -> DatasetRun:
    """The data set with the questions that were asked, in the order of the data."""
    questions = of_asked(dataset.data.questions, stopping)
    return replace(dataset, data=replace(dataset.data, questions=questions))


def left_out(confounds: Confounds) -> Confounds:
    """What may stand behind a difference, without what rests on intervals that do not hold where one stopped."""
    return Confounds(noise=confounds.noise, answers_changed=confounds.answers_changed)


def said(stopping: Stopping) -> str:
    """How far the rows were asked, in words."""
    if stopping.sure:
        return f"every verdict is sure after {stopping.rows} of {stopping.of} questions, in an order drawn by the seed"
    return (
        f"not every verdict was sure before the last of {stopping.of} questions, so what was not is judged by one "
        "analysis of all with the rest of the error rate"
    )
