"""A whole run, from a configuration to a report: what `loralift run` and `loralift.evaluate` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from loralift.comparison import with_margins
from loralift.config import RunConfig
from loralift.data import read_training_texts
from loralift.errors import RunDirectoryError, UsageError
from loralift.generation import Generator
from loralift.records import BASE, AdapterProof, Finding, Report, Score
from loralift.reporting.findings import findings
from loralift.reporting.forgetting import forgetting
from loralift.reporting.sweep import sweep_findings
from loralift.workflow.asking import Asked
from loralift.workflow.base_from import files_of_base, refuse_no_run
from loralift.workflow.candidates import answer_candidates, before_release
from loralift.workflow.claims import UnderProtocol, claims_of
from loralift.workflow.comparing import compare_scores, corpus_aggregates, write_comparison
from loralift.workflow.confounds import confounds_of
from loralift.workflow.cutting import cuts_of
from loralift.workflow.datasets import DatasetRun, load_datasets, tell
from loralift.workflow.generating import answer_again, generate_variant
from loralift.workflow.judging import recall
from loralift.workflow.prepare import load_and_prove
from loralift.workflow.progress import Clock, RunContext, Silent, Watcher
from loralift.workflow.provenance import begin_or_resume, finish
from loralift.workflow.reporting import build_report, write_report
from loralift.workflow.run_directory import LEFTOVERS, RunDirectory
from loralift.workflow.scoring import (
    Scoring,
    model_of,
    read_summaries,
    refuse_blind,
    rehearse,
    score_again,
    scoring_of,
    settings_of,
    with_model,
)
from loralift.workflow.scoring_process import Scorer
from loralift.workflow.sweeps import sweep_of
from loralift.workflow.tasks import evaluate_task, score_task, with_warnings


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        directory: The run's folder.
        report: The results.
        files: The report's files that were written; the page to open first is the first.
        unwritten: Why other files could not be, a sentence each; a full disk or a folder that became read-only.
    """

    directory: Path
    report: Report
    files: tuple[Path, ...]
    unwritten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known when a part of the run is compared, besides its scores.

    Attributes:
        training: The texts of the training data.
        proofs: That the adapters act.
        notes: Part of the run to what a reader must know of how it was asked.
        numbers: Adapter to the numbers by which it may differ from the others.
        lost: What adapters lost on further data sets that were compared before.
        found: What was found under the protocols that were compared before, by part.
    """

    training: Sequence[str]
    proofs: Sequence[AdapterProof]
    notes: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Mapping[str, float]]
    lost: list[Finding] = field(default_factory=list)
    found: dict[str, UnderProtocol] = field(default_factory=dict)


def run(
    config: RunConfig, *, resume: bool = False, watcher: Watcher | None = None, command: str = "loralift.evaluate"
) -> RunResult:
    """Evaluate the base and every adapter, compare, report.

    Metrics, folder, data and adapters are checked before the base's weights are loaded.

    Args:
        config: What to evaluate and how.
        resume: Whether to go on with the run in `config.output_dir`.
        watcher: Told what is being done; None: nobody.
        command: What was called, for run.json.

    Raises:
        LoraLiftError: One line on what is wrong; whatever was generated before stays on the disk.
    """
    scoring = scoring_of(config)
    config = config.model_copy(update={"primary": scoring.primary})
    directory = _directory(config, resume)
    with directory.locked():
        # --resume of a run that was killed before its first answer starts it anew
        resume, wanted = resume and directory.began(), resume
        if not resume:
            directory.refuse_to_overwrite(but=LEFTOVERS if wanted else ())
        refuse_no_run(config, directory, resume=resume)
        context = RunContext(config, watcher or Silent(), Clock())
        return _run(context, directory, scoring, resume=resume, command=command)


def _run(context: RunContext, directory: RunDirectory, scoring: Scoring, *, resume: bool, command: str) -> RunResult:
    config, clock = context.config, context.clock
    with clock.stage("data"):
        datasets = load_datasets(config, directory, resume=resume)
        training = read_training_texts(config.train_data) if config.train_data else []
        for dataset in datasets:
            if not dataset.further:  # whose questions are told already
                tell(dataset, context.watcher)
    with clock.stage("metrics"):
        own = [dataset for dataset in datasets if dataset.task is None]
        rehearsed = rehearse(scoring, [question for dataset in own for question in dataset.data.questions])
        for note in (*rehearsed, *refuse_blind(scoring, datasets[0].data.questions)):
            context.watcher.say(f"metrics: {note}")
    with Scorer(scoring, context.watcher.say) as scorer:
        context, known = _generate(context, datasets, scorer, resume=resume, command=command)
        known = replace(known, training=training)
        for dataset in datasets:  # a verdict must not outlive its scores, nor claims over all protocols those of one
            dataset.directory.comparison.unlink(missing_ok=True)
        # the questions that decide come last: their findings name what was found elsewhere
        for dataset in reversed(datasets):
            _score_and_compare(context, dataset, scorer, known)
    unwritten = recall(directory)
    for dataset in datasets:
        try:
            finish(dataset.directory, clock.seconds)
        except RunDirectoryError as error:  # a full disk: what was found is shown all the same
            unwritten.append(str(error))
    reports = [build_report(dataset.directory) for dataset in reversed(datasets)]
    written = [write_report(of.directory, report) for of, report in zip(reversed(datasets), reports, strict=True)]
    unwritten += [why for each in written for why in each.unwritten]
    return RunResult(directory.root, written[-1].report, written[-1].files, tuple(unwritten))


def _directory(config: RunConfig, resume: bool) -> RunDirectory:
    if config.output_dir is not None:
        return RunDirectory(config.output_dir)
    if resume:
        raise UsageError("`--resume` must be given with --output-dir RUN, the run to go on with")
    return RunDirectory(Path("runs") / datetime.now(UTC).astimezone().strftime("%Y-%m-%d-%H%M%S"))


def _generate(
    context: RunContext, datasets: Sequence[DatasetRun], scorer: Scorer, *, resume: bool, command: str
) -> tuple[RunContext, _Known]:
    """Load the model, prove that the adapters act, and let every variant answer every data set.

    Frees the model before it returns, since the metrics need the memory.

    Returns:
        The context, its configuration without the adapters that were refused, and what is known of the others.
    """
    ready = load_and_prove(context, datasets)
    context = replace(context, config=ready.config)
    scorer.scoring = with_model(scorer.scoring, model_of(ready.generator))
    of_base = {dataset.part: _of_base(context.config, dataset, scorer) for dataset in datasets}
    begin_or_resume(ready, datasets, resume=resume, command=command, of_base=of_base, say=context.watcher.say)
    scorer.score_beside(ready.generator)
    for dataset in datasets:
        _answer(context, dataset, scorer, ready.generator, ready.asked[dataset.part])
    notes = {part: asked.asking.notes for part, asked in ready.asked.items()}
    numbers = {name: info.numbers for name, info in ready.generator.adapters.items()}
    known, asked, candidates = _Known((), ready.proofs, notes, numbers), ready.asked, ready.candidates
    if candidates:
        before = before_release(ready.generator, asked[""].prompts)
        del ready  # and with it the base: two whole models may not fit
        answer_candidates(context, datasets, asked, candidates, before, scorer)
    return context, known


def _answer(context: RunContext, dataset: DatasetRun, scorer: Scorer, generator: Generator, asked: Asked) -> None:
    perplexity = "perplexity" in scorer.scoring.metrics
    for variant in generator.variants:
        if dataset.task is not None:
            with context.clock.stage(_stage(f"evaluate {variant}", dataset)):
                evaluate_task(context, dataset, dataset.task, variant, generator, asked.asking)
            continue
        with context.clock.stage(_stage(f"generate {variant}", dataset)):
            generate_variant(context, dataset, variant, generator, asked, perplexity=perplexity)
        scorer.begin(dataset, variant)
    if _answers_twice(context.config, dataset):
        with context.clock.stage("generate base once more"):
            answer_again(context, dataset, generator, asked.prompts)


def _stage(name: str, dataset: DatasetRun) -> str:
    """A stage's name in the clock; further data sets and protocols have names of their own."""
    return f"{name} ({dataset.label})" if dataset.label else name


def _answers_twice(config: RunConfig, dataset: DatasetRun) -> bool:
    """Whether the base answers some questions a second time; not with repeats, which show the noise themselves."""
    return bool(config.noise_rows and config.compared and config.repeats == 1 and dataset.decides)


def _of_base(config: RunConfig, dataset: DatasetRun, scorer: Scorer) -> tuple[str, ...]:
    """The base's files of a data set, when it is finished."""
    again = _answers_twice(config, dataset)
    return files_of_base(dataset, perplexity="perplexity" in scorer.scoring.metrics, again=again)


def _score_and_compare(context: RunContext, dataset: DatasetRun, scorer: Scorer, known: _Known) -> None:
    config, watcher, clock = context.config, context.watcher, context.clock
    scores: dict[str, Sequence[Score]] = {}
    variants = (BASE, *config.compared)
    if dataset.task is not None:
        with clock.stage(_stage("score", dataset)):
            scoring, of_task, said = score_task(dataset, dataset.task, variants, scorer.scoring)
        for note in said:
            watcher.say(f"{dataset.name}: {note}")
        if config.compared:
            with clock.stage(_stage("compare", dataset)):
                _compare(config, dataset, scoring, of_task, known, said)
        return
    scorer.share(dataset, variants)
    for variant in variants:
        with clock.stage(_stage(f"score {variant}", dataset)):
            of = f" of {dataset.label}" if dataset.label else ""
            watcher.say(f"{variant}: scoring {len(dataset.questions)} answers{of}")
            scores[variant] = scorer.scores(dataset, variant)
    if config.compared:
        with clock.stage(_stage("compare", dataset)):
            _compare(config, dataset, scorer.scoring, scores, known)


def _compare(
    config: RunConfig,
    dataset: DatasetRun,
    scoring: Scoring,
    scores: Mapping[str, Sequence[Score]],
    known: _Known,
    notes: Sequence[str] = (),
) -> None:
    settings = settings_of(config, scoring)
    settings = with_margins(settings, scores[BASE], scoring.metrics, corpus_aggregates(scoring.metrics))
    comparison, tests = compare_scores(
        (BASE, scores[BASE]),
        {name: scores[name] for name in config.compared},
        scoring.metrics,
        settings,
        clusters=dataset.clusters,
    )
    comparison = with_warnings(comparison, notes)
    if dataset.name:
        known.lost.extend(forgetting(dataset.name, comparison))
    else:
        known.found[dataset.part] = UnderProtocol(dataset, scores, comparison, known.notes[dataset.part])
    protocols = claims_of(_in_order(known.found), scoring, settings) if dataset.decides else None
    confounds = confounds_of(
        dataset,
        scoring,
        scores,
        settings,
        again=score_again(dataset, scoring, config) if _answers_twice(config, dataset) else (),
        training=known.training if dataset.decides else (),
        cuts=() if dataset.name else cuts_of(dataset, scoring, scores, settings),
    )
    summaries = {variant: read_summaries(dataset.directory, variant)[1] for variant in scores}
    proofs, lost = (known.proofs, known.lost) if dataset.decides else ((), ())
    said = findings(comparison, summaries, confounds, proofs, protocols)
    sweep = None if dataset.name else sweep_of(known.numbers, scores, comparison, settings, dataset.clusters)
    said = (*said, *lost, *sweep_findings(comparison, sweep))
    write_comparison(dataset.directory, comparison, tests, confounds, said, protocols, sweep)


def _in_order(found: Mapping[str, UnderProtocol]) -> list[UnderProtocol]:
    """What was found under each protocol, the one that decides first: it was compared last."""
    return list(found.values())[::-1]
