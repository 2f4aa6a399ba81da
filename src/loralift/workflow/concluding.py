"""The end of a run whose variants have answered: scores, the comparison, the reports. No model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loralift.comparison import Settings, stopped, with_margins
from loralift.config import RunConfig
from loralift.errors import RunDirectoryError
from loralift.records import BASE, AdapterProof, Comparison, Finding, Report, Score, SdkPairedTest
from loralift.reporting.findings import findings
from loralift.reporting.forgetting import forgetting
from loralift.reporting.sweep import sweep_findings
from loralift.workflow.claims import UnderProtocol, claims_of
from loralift.workflow.comparing import compare_scores, corpus_aggregates, write_comparison
from loralift.workflow.confounds import confounds_of
from loralift.workflow.cutting import cuts_of
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import AGAIN, again_of
from loralift.workflow.judging import recall
from loralift.workflow.progress import RunContext
from loralift.workflow.provenance import finish
from loralift.workflow.reporting import build_report, write_report
from loralift.workflow.run_directory import RunDirectory, stopping_of
from loralift.workflow.scored import read_summaries, scoring_of_data
from loralift.workflow.scoring import Scoring, settings_of
from loralift.workflow.scoring_process import Scorer
from loralift.workflow.stopping import left_out
from loralift.workflow.sweeps import sweep_of
from loralift.workflow.tasks import score_task, with_warnings


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
class Known:
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


def compare_all(context: RunContext, datasets: Sequence[DatasetRun], scorer: Scorer, known: Known) -> None:
    """Score every part of a run and compare its variants.

    Args:
        context: The run's configuration, watcher and clock.
        datasets: Its parts, the one that decides first.
        scorer: Scores what it has not begun to score.
        known: What is known besides.
    """
    for dataset in datasets:  # a verdict must not outlive its scores, nor claims over all protocols those of one
        dataset.directory.comparison.unlink(missing_ok=True)
    # the questions that decide come last: their findings name what was found elsewhere
    for dataset in reversed(datasets):
        _score_and_compare(context, dataset, scorer, known)


def report_all(context: RunContext, directory: RunDirectory, datasets: Sequence[DatasetRun]) -> RunResult:
    """Write the reports of a run that was compared, and the times of its stages."""
    unwritten = recall(directory)
    for dataset in datasets:
        try:
            finish(dataset.directory, context.clock.seconds)
        except RunDirectoryError as error:  # a full disk: what was found is shown all the same
            unwritten.append(str(error))
    reports = [build_report(dataset.directory) for dataset in reversed(datasets)]
    written = [write_report(of.directory, report) for of, report in zip(reversed(datasets), reports, strict=True)]
    unwritten += [why for each in written for why in each.unwritten]
    return RunResult(directory.root, written[-1].report, written[-1].files, tuple(unwritten))


def stage_of(name: str, dataset: DatasetRun) -> str:
    """A stage's name in the clock; further data sets and protocols have names of their own."""
    return f"{name} ({dataset.label})" if dataset.label else name


def _score_and_compare(context: RunContext, dataset: DatasetRun, scorer: Scorer, known: Known) -> None:
    config, watcher, clock = context.config, context.watcher, context.clock
    scores: dict[str, Sequence[Score]] = {}
    variants = (BASE, *config.compared)
    if dataset.task is not None:
        with clock.stage(stage_of("score", dataset)):
            scoring, of_task, said = score_task(dataset, dataset.task, variants, scorer.scoring)
        for note in said:
            watcher.say(f"{dataset.name}: {note}")
        if config.compared:
            with clock.stage(stage_of("compare", dataset)):
                _compare(config, dataset, scorer, scoring, of_task, known, said)
        return
    scorer.share(dataset, variants)
    for variant in variants:
        with clock.stage(stage_of(f"score {variant}", dataset)):
            of = f" of {dataset.label}" if dataset.label else ""
            watcher.say(f"{variant}: scoring {len(dataset.questions)} answers{of}")
            scores[variant] = scorer.scores(dataset, variant)
    if config.compared:
        with clock.stage(stage_of("compare", dataset)):
            _compare(config, dataset, scorer, scoring_of_data(scorer.scoring, dataset), scores, known)


def _compare(
    config: RunConfig,
    dataset: DatasetRun,
    scorer: Scorer,
    scoring: Scoring,
    scores: Mapping[str, Sequence[Score]],
    known: Known,
    notes: Sequence[str] = (),
) -> None:
    settings = settings_of(config, scoring)
    settings = with_margins(settings, scores[BASE], scoring.metrics, corpus_aggregates(scoring.metrics))
    comparison, tests = _compared(config, dataset, scoring, scores, settings)
    comparison, alone = with_warnings(comparison, notes), comparison.stopping is not None
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
        again=scorer.anew(dataset, AGAIN, again_of(dataset, config)),
        training=known.training if dataset.decides else (),
        cuts=() if dataset.name or alone else cuts_of(dataset, scorer, scores, settings),
    )
    confounds = left_out(confounds) if alone else confounds
    summaries = {variant: read_summaries(dataset.directory, variant)[1] for variant in scores}
    proofs, lost = (known.proofs, known.lost) if dataset.decides else ((), ())
    said = findings(comparison, summaries, confounds, proofs, protocols)
    sweeps = {} if dataset.name or alone else known.numbers
    sweep = sweep_of(sweeps, scores, comparison, settings, dataset.clusters)
    said = (*said, *lost, *sweep_findings(comparison, sweep))
    write_comparison(dataset.directory, comparison, tests, confounds, said, protocols, sweep)


def _compared(
    config: RunConfig,
    dataset: DatasetRun,
    scoring: Scoring,
    scores: Mapping[str, Sequence[Score]],
    settings: Settings,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """The comparison and the SDK's tests; of rows that were asked until they were sure, what holds of such rows."""
    candidates = {name: scores[name] for name in config.compared}
    base = (BASE, scores[BASE])
    comparison, tests = compare_scores(base, candidates, scoring.metrics, settings, clusters=dataset.clusters)
    stopping = stopping_of(dataset.directory.read_run())
    return (comparison, tests) if stopping is None else (stopped(comparison, scores, stopping, settings), ())


def _in_order(found: Mapping[str, UnderProtocol]) -> list[UnderProtocol]:
    """What was found under each protocol, the one that decides first: it was compared last."""
    return list(found.values())[::-1]
