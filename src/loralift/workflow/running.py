"""A whole run, from a configuration to a report, or one shard of it: what `loralift run` and `loralift.evaluate` do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loralift.config import RunConfig
from loralift.data import read_training_texts
from loralift.errors import UsageError
from loralift.generation import Generator
from loralift.kept import joined
from loralift.workflow.asking import Asked
from loralift.workflow.base_from import files_of_base, refuse_no_run
from loralift.workflow.candidates import answer_candidates, before_release
from loralift.workflow.concluding import Known, RunResult, compare_all, report_all, stage_of
from loralift.workflow.datasets import DatasetRun, load_datasets, tell
from loralift.workflow.generating import answer_again, answers_twice, generate_variant
from loralift.workflow.prepare import Ready, load_and_prove
from loralift.workflow.progress import Clock, RunContext, Silent, Watcher
from loralift.workflow.provenance import begin_or_resume, finish
from loralift.workflow.run_directory import LEFTOVERS, RunDirectory
from loralift.workflow.scoring import Scoring, model_of, per_character, scoring_of, with_model
from loralift.workflow.scoring_process import Scorer, gpus_of
from loralift.workflow.sharding import (
    Shard,
    kept_of,
    refuse_another_shard,
    refuse_none_left,
    refuse_other_tokens,
    refuse_unshared,
)
from loralift.workflow.stopping import answer_until_sure, refuse_dependent, rule_of
from loralift.workflow.tasks import evaluate_task

if TYPE_CHECKING:
    from loralift.generation.model.base_model import BaseModel


def run(
    config: RunConfig,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    command: str = "loralift.evaluate",
    base: BaseModel | None = None,
    notes: tuple[str, ...] = (),
) -> RunResult:
    """Evaluate the base and every adapter, compare, report.

    Metrics, folder, data and adapters are checked before the base's weights are loaded.

    Args:
        config: What to evaluate and how.
        resume: Whether to go on with the run in `config.output_dir`.
        watcher: Told what is being done; None: nobody.
        command: What was called, for run.json.
        base: The configuration's base, where its weights are in memory already.
        notes: What the report's reader must know besides, one sentence each.

    Raises:
        LoraLiftError: One line on what is wrong; whatever was generated before stays on the disk.
    """
    scoring = scoring_of(config)
    rule_of(config, scoring)  # refuses what it cannot decide by, before anything is loaded
    with _begun(config, scoring, None, watcher, resume=resume) as (context, directory, resume):
        context = replace(context, base=base, notes=notes)
        with Scorer(scoring, context.watcher.say, gpus_of(config)) as scorer:
            datasets, training = _load(context, directory, scorer, resume=resume)
            context, datasets, known = _generate(context, datasets, scorer, training, resume=resume, command=command)
            compare_all(context, datasets, scorer, known)
        return report_all(context, directory, datasets)


def run_shard(
    config: RunConfig, shard: Shard, *, resume: bool = False, watcher: Watcher | None = None, command: str
) -> RunDirectory:
    """Let all variants answer a shard's part of the questions; `loralift merge` scores and compares.

    What is of the whole run (the data, worked examples, prompts, proofs, what is refused) is made and checked as `run`
    does it, before any question is asked.

    Raises:
        LoraLiftError: As of `run`; also for what only a whole run can do.
    """
    refuse_unshared(config, shard)
    scoring = scoring_of(config)
    with _begun(config, scoring, shard, watcher, resume=resume) as (context, directory, resume):
        with Scorer(scoring, context.watcher.say, gpus_of(config)) as scorer:
            datasets, training = _load(context, directory, scorer, resume=resume)
            _generate(context, datasets, scorer, training, resume=resume, command=command)
        for dataset in datasets:
            finish(dataset.directory, context.clock.seconds)
        return directory


@contextmanager
def _begun(
    config: RunConfig, scoring: Scoring, shard: Shard | None, watcher: Watcher | None, *, resume: bool
) -> Iterator[tuple[RunContext, RunDirectory, bool]]:
    """Lock the run's folder, and find out whether there is something in it to resume."""
    config = config.model_copy(update={"primary": scoring.primary})
    directory = _directory(config, resume)
    with directory.locked():
        # --resume of a run that was killed before its first answer starts it anew
        resume, wanted = resume and directory.began(), resume
        if not resume:
            directory.refuse_to_overwrite(but=LEFTOVERS if wanted else ())
        else:
            refuse_another_shard(directory, shard)
        refuse_no_run(config, directory, resume=resume)
        yield RunContext(config, watcher or Silent(), Clock(), shard), directory, resume


def _load(
    context: RunContext, directory: RunDirectory, scorer: Scorer, *, resume: bool
) -> tuple[list[DatasetRun], list[str]]:
    """The parts of the run and the texts of the training data; the scorer tries the metrics on what is to be scored."""
    config, clock = context.config, context.clock
    with clock.stage("data"):
        datasets = [_noted(dataset, context.notes) for dataset in load_datasets(config, directory, resume=resume)]
        refuse_none_left(context.shard, len(datasets[0].data.questions))
        training = read_training_texts(config.train_data) if config.train_data else []
        refuse_dependent(config, datasets[0])
        for dataset in datasets:
            if not dataset.further:  # whose questions are told already
                tell(dataset, context.watcher)
    with clock.stage("metrics"):
        own = [dataset for dataset in datasets if dataset.task is None]
        questions = joined([dataset.data.questions for dataset in own])
        scorer.begin_to_try(config, questions, datasets[0].data.questions)
    return datasets, training


def _noted(dataset: DatasetRun, notes: tuple[str, ...]) -> DatasetRun:
    return replace(dataset, data=replace(dataset.data, notes=(*dataset.data.notes, *notes)))


def _directory(config: RunConfig, resume: bool) -> RunDirectory:
    if config.output_dir is not None:
        return RunDirectory(config.output_dir)
    if resume:
        raise UsageError("`--resume` must be given with --output-dir RUN, the run to go on with")
    return RunDirectory(Path("runs") / datetime.now(UTC).astimezone().strftime("%Y-%m-%d-%H%M%S"))


def _generate(
    context: RunContext,
    datasets: Sequence[DatasetRun],
    scorer: Scorer,
    training: Sequence[str],
    *,
    resume: bool,
    command: str,
) -> tuple[RunContext, list[DatasetRun], Known]:
    """Load the model, prove that the adapters act, and let every variant answer every data set.

    Frees the model before it returns, since the metrics need the memory.

    Returns:
        The context, its configuration without the adapters that were refused, the parts of the run with the questions
        that were asked, and what is known of the adapters.
    """
    ready = load_and_prove(context, datasets)
    context = replace(context, config=ready.config)
    model = _score_with(context, ready, scorer)
    of_base = {dataset.part: _of_base(context.config, dataset, scorer) for dataset in datasets}
    numbers = {name: info.numbers for name, info in ready.generator.adapters.items()}
    kept = None if context.shard is None else kept_of(context.shard, model, numbers, training)
    begin_or_resume(
        ready,
        datasets,
        resume=resume,
        command=command,
        of_base=of_base,
        kept=kept,
        rule=rule_of(context.config, scorer.scoring),
        say=context.watcher.say,
    )
    if context.shard is None:  # whose answers are scored with those of all other shards
        scorer.score_beside(ready.generator)
    datasets = [_answer(context, one, scorer, ready.generator, ready.asked[one.part]) for one in datasets]
    notes = {part: asked.asking.notes for part, asked in ready.asked.items()}
    known, asked, candidates = Known(training, ready.proofs, notes, numbers), ready.asked, ready.candidates
    own = ready.agreed.own
    if candidates:
        before = before_release(ready.generator, asked[""].prompts)
        del ready  # and with it the base: two whole models may not fit
        answer_candidates(context, datasets, asked, own, candidates, before, scorer)
    return context, datasets, known


def _score_with(context: RunContext, ready: Ready, scorer: Scorer) -> str:
    """Let the scorer know the loaded model, once its metrics were tried; returns how their signatures name it."""
    with context.clock.stage("metrics"):
        for note in scorer.tried():
            context.watcher.say(f"metrics: {note}")
    model = model_of(ready.generator)
    scorer.scoring = with_model(scorer.scoring, model)
    if ready.agreed.own:
        refuse_other_tokens(context.shard, ready.agreed.own)
        scorer.scoring = per_character(scorer.scoring)
    return model


def _answer(context: RunContext, dataset: DatasetRun, scorer: Scorer, generator: Generator, asked: Asked) -> DatasetRun:
    """Let every variant answer; returns the data set with the questions that were asked."""
    if context.config.stop_when_sure:
        dataset, asked = answer_until_sure(context, dataset, scorer.scoring, generator, asked)
    perplexity = "perplexity" in scorer.scoring.metrics
    for variant in generator.variants:
        if dataset.task is not None:
            with context.clock.stage(stage_of(f"evaluate {variant}", dataset)):
                evaluate_task(context, dataset, dataset.task, variant, generator, asked.asking)
            continue
        with context.clock.stage(stage_of(f"generate {variant}", dataset)):
            generate_variant(context, dataset, variant, generator, asked, perplexity=perplexity)
        scorer.begin(dataset, variant)
    if answers_twice(context.config, dataset):
        with context.clock.stage("generate base once more"):
            answer_again(context, dataset, generator, asked.prompts)
    return dataset


def _of_base(config: RunConfig, dataset: DatasetRun, scorer: Scorer) -> tuple[str, ...]:
    """The base's files of a data set, when it is finished."""
    again = answers_twice(config, dataset)
    return files_of_base(dataset, perplexity="perplexity" in scorer.scoring.metrics, again=again)
