"""The whole way, from a configuration to a report: what `loralift run` and `loralift.evaluate` do."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loralift.config import RunConfig
from loralift.data import HeldOut, LoadedData, SavedIndices, dump_questions, load_questions, parse_spec
from loralift.data.spec import BeirHub, HubDataset
from loralift.errors import UsageError
from loralift.generation import Generator, load_transformers
from loralift.records import BASE, Report
from loralift.workflow import files
from loralift.workflow.codec import plain
from loralift.workflow.comparing import compare_scores, write_comparison
from loralift.workflow.generating import generate_variant, render_prompts
from loralift.workflow.provenance import fingerprint, git_revision, hardware, versions
from loralift.workflow.reporting import build_report, write_report
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import Scoring, rehearse, score_variant, scoring_of
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


@dataclass(slots=True)
class _Clock:
    """Seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


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
    watcher, clock = watcher or Silent(), _Clock()
    directory = _directory(config, resume)
    scoring = scoring_of(config)
    with clock.stage("data"):
        data = _load_data(config, directory, resume)
        _tell_data(data, watcher)
    with clock.stage("metrics"):
        rehearse(scoring, data.questions[0])
    with clock.stage("model"):
        watcher.say(f"model: loading {config.model}")
        generator = load_transformers(
            config.model,
            config.adapters,
            revision=config.revision,
            dtype=config.dtype or "auto",
            device=config.device or "auto",
        )
    document = _begin(config, directory, data, generator, resume=resume, command=command)
    _generate(config, directory, data, generator, watcher, clock)
    del generator  # its memory is the metrics' now
    _score_and_compare(config, directory, data, scoring, watcher, clock)
    files.write_json(directory.run, {**document, "seconds": clock.seconds, "finished": datetime.now(UTC).isoformat()})
    report = build_report(directory)
    return RunResult(directory.root, report, tuple(write_report(directory, report)))


def _directory(config: RunConfig, resume: bool) -> RunDirectory:
    if config.output_dir is None:
        if resume:
            raise UsageError("`--resume` must be given with --output-dir RUN, the run to go on with")
        return RunDirectory(Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S"))
    directory = RunDirectory(config.output_dir)
    # A run that was killed before its first line left nothing to resume: --resume then simply begins.
    if not resume or not directory.run.exists():
        directory.refuse_to_overwrite()
    return directory


def _load_data(config: RunConfig, directory: RunDirectory, resume: bool) -> LoadedData:
    """Load the questions; a resume takes what the run saved of a hub's, so that it needs no hub."""
    if resume and directory.run.exists() and isinstance(parse_spec(config.dataset), HubDataset | BeirHub):
        saved = directory.read_run()
        if all(saved["config"].get(name) == value for name, value in _asked_for(config).items()):
            questions = load_questions(str(directory.dataset)).questions
            return LoadedData(questions, **{key: saved["data"][key] for key in ("source", "selection", "sha256")})
    selection: SavedIndices | HeldOut | None = None
    if config.eval_indices is not None and config.eval_fraction is not None:
        raise UsageError("`--eval-indices` and `--eval-fraction` exclude each other, got both")
    if config.eval_indices is not None:
        selection = SavedIndices(config.eval_indices)
    elif config.eval_fraction is not None:
        selection = HeldOut(config.eval_fraction, config.split_seed)
    return load_questions(
        config.dataset,
        columns=config.columns,
        selection=selection,
        limit=config.limit,
        strict=config.strict,
    )


def _asked_for(config: RunConfig) -> dict[str, Any]:
    """The part of the configuration that decides which questions there are, as run.json holds it."""
    fields = {"dataset", "columns", "eval_indices", "eval_fraction", "split_seed", "limit", "strict"}
    return config.model_dump(mode="json", include=fields)


def _tell_data(data: LoadedData, watcher: Watcher) -> None:
    watcher.say(f"data: {len(data.questions)} questions from {data.source} ({data.selection})")
    for note in _notes(data):
        watcher.say(f"data: {note}")
    sample = random.Random(0).choice(data.questions)
    reference = sample.reference if len(sample.reference) <= 200 else f"{sample.reference[:200]}…"
    watcher.say(f"data: for example {sample.id}: {sample.question!r} -> {reference!r}")


def _notes(data: LoadedData) -> list[str]:
    if not data.dropped:
        return []
    named = "; ".join(f"{row.id}: {row.reason}" for row in data.dropped[:5])
    more = f"; and {len(data.dropped) - 5} more" if len(data.dropped) > 5 else ""
    return [f"{len(data.dropped)} rows were left out ({named}{more})"]


def _begin(
    config: RunConfig,
    directory: RunDirectory,
    data: LoadedData,
    generator: Generator,
    *,
    resume: bool,
    command: str,
) -> dict[str, Any]:
    """Write dataset.jsonl and run.json, or make sure that those there are of this very run."""
    model = generator.describe()
    prompts = render_prompts(generator, data.questions, config)
    made_of = fingerprint(config, data, prompts, model)
    if resume and directory.run.exists():
        directory.refuse_another_run(made_of)
    else:
        files.write_text(directory.dataset, dump_questions(data.questions))
    document = {
        "command": command,
        "config": plain(config.model_dump(mode="json")),
        "fingerprint": made_of,
        "variants": [BASE, *config.adapters],
        "data": {"source": data.source, "selection": data.selection, "sha256": data.sha256},
        "notes": _notes(data),
        "versions": versions(),
        "hardware": plain(hardware(model.information)),
        "git": git_revision(),
        "process": os.getpid(),
        "started": datetime.now(UTC).isoformat(),
        "seconds": {},
    }
    files.write_json(directory.run, document)
    return document


def _generate(
    config: RunConfig,
    directory: RunDirectory,
    data: LoadedData,
    generator: Generator,
    watcher: Watcher,
    clock: _Clock,
) -> None:
    prompts = render_prompts(generator, data.questions, config)
    for variant in generator.variants:
        with clock.stage(f"generate {variant}"):
            generate_variant(directory, variant, generator, data.questions, prompts, config, watcher)


def _score_and_compare(
    config: RunConfig,
    directory: RunDirectory,
    data: LoadedData,
    scoring: Scoring,
    watcher: Watcher,
    clock: _Clock,
) -> None:
    scores = {}
    for variant in (BASE, *config.adapters):
        with clock.stage(f"score {variant}"):
            watcher.say(f"{variant}: scoring {len(data.questions)} answers")
            scores[variant] = score_variant(directory, variant, data.questions, scoring)
    if config.adapters:
        with clock.stage("compare"):
            comparison, tests = compare_scores(
                (BASE, scores[BASE]),
                {name: scores[name] for name in config.adapters},
                scoring.metrics,
                primary=scoring.primary,
                margins=config.margins,
                seed=config.seed,
                resamples=config.resamples,
            )
            write_comparison(directory, comparison, tests)
