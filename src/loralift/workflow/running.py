"""The whole way, from a configuration to a report: what `loralift run` and `loralift.evaluate` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loralift.config import RunConfig
from loralift.data import read_training_texts
from loralift.errors import UsageError
from loralift.generation import Generator
from loralift.records import BASE, AdapterProof, Comparison, Finding, Prompt, Report, Score
from loralift.reporting.findings import findings
from loralift.reporting.forgetting import forgetting
from loralift.workflow.analysing import confounds_of
from loralift.workflow.clock import Clock
from loralift.workflow.comparing import compare_scores, write_comparison
from loralift.workflow.generating import answer_again, generate_variant
from loralift.workflow.loading import load_and_prove
from loralift.workflow.parts import Part, load_parts, tell
from loralift.workflow.provenance import begin_or_resume, finish
from loralift.workflow.reporting import build_report, write_report
from loralift.workflow.run_directory import LEFTOVERS, RunDirectory
from loralift.workflow.scoring import Scoring, read_summaries, refuse_blind, rehearse, score_again, scoring_of
from loralift.workflow.scoring_process import Scorer
from loralift.workflow.watching import Silent, Watcher


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        directory: Where everything lies.
        report: What was found.
        files: The report's files, the page to open first in front.
    """

    directory: Path
    report: Report
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the comparison of the questions that decide is told besides the scores."""

    training: Sequence[str] = ()
    proofs: Sequence[AdapterProof] = ()
    lost: Sequence[Finding] = ()


def run(
    config: RunConfig, *, resume: bool = False, watcher: Watcher | None = None, command: str = "loralift.evaluate"
) -> RunResult:
    """Evaluate the base and every adapter, compare, report.

    Whatever can be wrong is looked at before the weights are loaded: the metrics, the folder, the data, the adapters.

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
        # --resume of a run that was killed before it gave an answer simply begins.
        resume, wanted = resume and directory.began(), resume
        if not resume:
            directory.refuse_to_overwrite(but=LEFTOVERS if wanted else ())
        return _run(config, directory, scoring, watcher or Silent(), resume=resume, command=command)


def _run(
    config: RunConfig, directory: RunDirectory, scoring: Scoring, watcher: Watcher, *, resume: bool, command: str
) -> RunResult:
    clock = Clock()
    with clock.stage("data"):
        parts = load_parts(config, directory, resume=resume)
        training = read_training_texts(config.train_data) if config.train_data else []
        for part in parts:
            tell(part, watcher)
    with clock.stage("metrics"):
        rehearse(scoring, parts[0].data.questions[0])
        for note in refuse_blind(scoring, parts[0].data.questions):
            watcher.say(f"metrics: {note}")
    lost: list[Finding] = []
    with Scorer(scoring) as scorer:
        config, proofs = _generate(config, parts, scorer, watcher, clock, resume=resume, command=command)
        for part in reversed(parts):  # the questions that decide come last: their findings name what was lost elsewhere
            part.directory.comparison.unlink(missing_ok=True)  # a verdict on other scores must not outlive them
            comparison = _score_and_compare(config, part, scorer, watcher, clock, _Known(training, proofs, lost))
            lost += forgetting(part.name, comparison) if part.name and comparison else ()
    for part in parts:
        finish(part.directory, clock.seconds)
    reports = [build_report(part.directory) for part in reversed(parts)]
    written = [write_report(part.directory, report) for part, report in zip(reversed(parts), reports, strict=True)]
    return RunResult(directory.root, reports[-1], tuple(written[-1]))


def _directory(config: RunConfig, resume: bool) -> RunDirectory:
    if config.output_dir is not None:
        return RunDirectory(config.output_dir)
    if resume:
        raise UsageError("`--resume` must be given with --output-dir RUN, the run to go on with")
    return RunDirectory(Path("runs") / datetime.now(UTC).astimezone().strftime("%Y-%m-%d-%H%M%S"))


def _generate(
    config: RunConfig,
    parts: Sequence[Part],
    scorer: Scorer,
    watcher: Watcher,
    clock: Clock,
    *,
    resume: bool,
    command: str,
) -> tuple[RunConfig, tuple[AdapterProof, ...]]:
    """Load the model, prove that the adapters act, and let every variant answer every data set.

    The model is gone when this returns: its memory is the metrics' then.

    Returns:
        The configuration without the adapters that were refused, and the proofs of the others.
    """
    ready = load_and_prove(config, parts, watcher, clock)
    begin_or_resume(ready, parts, resume=resume, command=command)
    scorer.score_beside(ready.generator)
    for part in parts:
        _answer(ready.config, part, scorer, ready.generator, ready.prompts[part.name], watcher, clock)
    return ready.config, ready.proofs


def _answer(
    config: RunConfig,
    part: Part,
    scorer: Scorer,
    generator: Generator,
    prompts: Sequence[Prompt],
    watcher: Watcher,
    clock: Clock,
) -> None:
    perplexity = "perplexity" in scorer.scoring.metrics
    for variant in generator.variants:
        with clock.stage(_stage(f"generate {variant}", part)):
            generate_variant(part, variant, generator, prompts, config, watcher, perplexity=perplexity)
        scorer.begin(part, variant)
    if _answers_twice(config, part):
        with clock.stage("generate base once more"):
            answer_again(part, generator, prompts, config, watcher)


def _stage(name: str, part: Part) -> str:
    """A stage's name, so that what further data sets took is not added to it."""
    return f"{name} ({part.name})" if part.name else name


def _answers_twice(config: RunConfig, part: Part) -> bool:
    """Whether the base answers some questions once more; repeats show by themselves what moves."""
    return bool(config.noise_rows and config.adapters and config.repeats == 1 and not part.name)


def _score_and_compare(
    config: RunConfig,
    part: Part,
    scorer: Scorer,
    watcher: Watcher,
    clock: Clock,
    known: _Known,
) -> Comparison | None:
    scores: dict[str, Sequence[Score]] = {}
    scorer.share(part, (BASE, *config.adapters))
    for variant in (BASE, *config.adapters):
        with clock.stage(_stage(f"score {variant}", part)):
            watcher.say(f"{variant}: scoring {len(part.questions)} answers{f' of {part.name}' if part.name else ''}")
            scores[variant] = scorer.scores(part, variant)
    if not config.adapters:
        return None
    with clock.stage(_stage("compare", part)):
        return _compare(config, part, scorer.scoring, scores, known if not part.name else _Known())


def _compare(
    config: RunConfig,
    part: Part,
    scoring: Scoring,
    scores: Mapping[str, Sequence[Score]],
    known: _Known,
) -> Comparison:
    comparison, tests = compare_scores(
        (BASE, scores[BASE]),
        {name: scores[name] for name in config.adapters},
        scoring.metrics,
        primary=scoring.primary,
        margins=config.margins,
        clusters=part.clusters,
        seed=config.seed,
        resamples=config.resamples,
    )
    again = score_again(part, scoring, config) if _answers_twice(config, part) else ()
    confounds = confounds_of(part, scoring, comparison, scores, again=again, training=known.training)
    summaries = {variant: read_summaries(part.directory, variant)[1] for variant in scores}
    found = findings(comparison, summaries, confounds, known.proofs)
    write_comparison(part.directory, comparison, tests, confounds, (*found, *known.lost))
    return comparison
