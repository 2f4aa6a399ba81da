"""Read a side: a run's variant, results of `nel`, a file of scores or of predictions, or a log of another tool."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from loralift.comparison import question_of, repeat_id
from loralift.errors import ComparisonError, RunDirectoryError, UsageError, some
from loralift.metrics import METRICS, Metric, MetricSettings, expand_names, left_for_english, nrefs_of, with_weights
from loralift.nemo.summaries import PREDICTION_METRICS
from loralift.reading import reading
from loralift.records import OF_MODELS, Answer, Example, Question, Score, Thinking, conversation_of
from loralift.workflow import files
from loralift.workflow.codec import UNSCORED, decode, scores_of
from loralift.workflow.external_formats import (
    Texts,
    has_ids,
    id_columns,
    numbered,
    numbers_as_texts,
    read_texts,
    with_ids,
    without_ids,
    without_texts,
)
from loralift.workflow.recorded import read_answers
from loralift.workflow.run_directory import RunDirectory, refuse_shard, refuse_stopped
from loralift.workflow.scored import read_scores, read_summaries, read_thinking
from loralift.workflow.sides.asked import TEXT, of_bundle, of_row, of_run
from loralift.workflow.sides.columns import column_info, not_compared, numbers_beside
from loralift.workflow.sides.contents import read_content
from loralift.workflow.sides.logs import read_log
from loralift.workflow.sides.logs.log import Log
from loralift.workflow.sides.own import with_own
from loralift.workflow.sides.side import Shown, Side, document
from loralift.workflow.thinking import notes_of_file, notes_of_texts, reference_notes

Rows = Sequence[Mapping[str, Any]]


def read_side(
    path: Path,
    metrics: Sequence[str] | None,
    filter_name: str | None = None,
    tokenizer: str | None = None,
    own: Sequence[Metric] = (),
    thinking: Thinking | None = None,
    id_column: str | None = None,
) -> Side:
    """Read one side.

    Args:
        path: A run's variant, what `nel` wrote of our benchmark, or a .jsonl.
        metrics: What to score predictions with, or which metrics of the scores to take; None: all that fit.
        filter_name: Which filter of a sample log; None: the first in it.
        tokenizer: To score predictions with; None: for English.
        own: Metrics of the user's own, which score its answers besides.
        thinking: How thinking is parted from predictions; None: by the tags of all models. Of a run's variant it is as
            it was when that was scored.
        id_column: Which column of a file has its ids; None: the first that it has of those that are known.

    Raises:
        RunDirectoryError: There is no such side, or it cannot be read.
        ComparisonError: Its lines are neither scores nor predictions, or they are scores, and `own` needs answers.
        MetricError: A metric of the user's own fails.
        UsageError: It has no such filter.
    """
    with reading(path, ComparisonError, "see docs/compare.md for what a side may be"):
        settings = MetricSettings(tokenizer=tokenizer, thinking=thinking or Thinking(OF_MODELS))
        side = replace(_read_side(path, metrics, filter_name, id_column, settings), place=path)
    return with_own(side, path, own)


def _read_side(
    path: Path,
    metrics: Sequence[str] | None,
    filter_name: str | None,
    id_column: str | None,
    settings: MetricSettings,
) -> Side:
    _refuse_refused(path)
    _refuse_looked_at(path)
    if path.is_dir() and (path / "results.jsonl").is_file():
        return _nel_results(path, metrics)
    if path.is_dir():
        return _variant(path, metrics)
    content = read_content(path)
    if (log := read_log(content, filter_name)) is not None:
        return _logged(path, log, metrics, settings)
    if content.whole and not content.rows:
        raise ComparisonError(f"{path} holds {some(content.whole)}, and is no log of a tool that is known")
    side = _of_rows(path, content.rows, metrics, id_column, settings)
    return replace(side, notes=(*content.notes, *side.notes))


def _of_rows(
    path: Path, rows: Rows, metrics: Sequence[str] | None, id_column: str | None, settings: MetricSettings
) -> Side:
    """Lines of scores or of predictions, with ids or without."""
    if not rows or has_ids(rows):
        side = _file(path, with_ids(str(path), rows, id_column), metrics, settings)
        return replace(side, id_columns=tuple(dict.fromkeys(filter(None, (id_column, *id_columns(rows))))))
    lines = numbered(rows)
    # prompts count too, though with templates: rows without ids are paired only if their prompts are exactly equal
    texts = read_texts(str(path), lines) or ()
    side = _file(path, lines, metrics, settings)
    documents = {text.id: document(text.question, text.reference, text.others) for text in texts}
    return replace(_knowing(side, documents), no_ids=without_ids(str(path), rows))


def _file(path: Path, lines: Rows, metrics: Sequence[str] | None, settings: MetricSettings) -> Side:
    texts = read_texts(str(path), lines)
    if texts is None:
        side = _scores(path, lines, metrics)
    else:
        side = _predictions(path.stem, texts, metrics, settings)
        beside = not_compared(path.stem, numbers_beside(lines), "its lines")
        side = replace(side, notes=(*beside, *side.notes))
    by_id = {str(line["id"]): line for line in lines}
    return replace(_knowing(side, {row: of_row(line) for row, line in by_id.items()}), lines=by_id)


def _knowing(side: Side, known: Mapping[str, Mapping[str, str]]) -> Side:
    """A side that knows more of its rows."""
    documents = {row: {**more, **side.documents.get(row, {})} for row, more in known.items()}
    return replace(side, documents={**side.documents, **documents})


def _refuse_refused(path: Path) -> None:
    """Raise the reason why an adapter was left out of its run, if it was; it has no folder then."""
    run = RunDirectory(path.parent)
    reason = None if path.exists() or not run.run.is_file() else run.read_run().get("refused", {}).get(path.name)
    if reason:
        raise ComparisonError(f"{path} was refused in its run, and there is nothing to compare: {reason}")


def _refuse_looked_at(path: Path) -> None:
    """Refuse what lies in a run that looked at its rows before: a variant, its files, its bundles in nemo/."""
    for folder in Path(os.path.realpath(path)).parents[:3]:
        if (run := RunDirectory(folder)).run.is_file():
            refuse_stopped(run.read_run(), path)
            return


def _variant(path: Path, metrics: Sequence[str] | None) -> Side:
    directory = RunDirectory(path.parent)
    if not directory.run.is_file():
        raise ComparisonError(f"{path} is no variant of a run, as RUN/base is: {directory.root} has no run.json")
    run = directory.read_run()
    refuse_shard(directory, run)
    infos, _ = read_summaries(directory, path.name)
    if metrics is not None:
        # a run may have metrics of somebody's own; nothing but its name is known of one here
        ours = [name for name in metrics if name not in infos]
        asked = {*metrics, *(expand_names(ours) if ours else ())}
        _refuse_none(path, [name for name in infos if name in asked], list(infos))
        infos = {name: info for name, info in infos.items() if name in asked}
    scores = read_scores(directory, path.name)
    made = _settings_of(directory, run)
    repeated = made.repeats > 1
    asked_by_id = _asked(directory)
    questions = {score.id: question_of(score.id) if repeated else score.id for score in scores}
    thinking = read_thinking(directory, path.name)
    known = of_run(run)
    documents = {row: {**asked_by_id.get(question, {}), **known} for row, question in questions.items()}
    every_turn = any(conversation_of(question) != question for question in questions.values())
    return Side(
        path.name,
        scores,
        infos,
        ours=True,
        primary=made.primary,
        documents=documents,
        notes=notes_of_file(path.name, directory.answers(path.name), thinking),
        thinking=thinking,
        repeated=repeated or every_turn,
        every_turn=every_turn,
        run=run,
        root=directory.root.resolve(),
        examples=lambda: _answered(directory, path.name, questions),
        kind="a variant of a LoraLift run",
    )


def _answered(directory: RunDirectory, variant: str, questions: Mapping[str, str]) -> list[Example]:
    """A variant's answers to the questions of its rows."""
    asked = {question.id: question for question in directory.read_questions()}
    answers = read_answers(directory, variant)
    if lost := [row for row, question in questions.items() if row not in answers or question not in asked]:
        place = directory.answers(variant)
        raise RunDirectoryError(f"{place} lacks the answers of {some(lost)}: add --resume to its run")
    return [Example(asked[question], answers[row]) for row, question in questions.items()]


@dataclass(frozen=True)
class _Settings:
    """What a comparison takes of a run's configuration."""

    primary: str
    repeats: Annotated[int, Field(ge=1)] = 1
    margins: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    resamples: int = 10_000


@dataclass(frozen=True)
class _Fingerprint:
    """The parts of a run's fingerprint that a comparison looks into."""

    generation: Mapping[str, Any] = field(default_factory=dict)
    numerics: Mapping[str, Any] = field(default_factory=dict)
    prompt: Mapping[str, Any] = field(default_factory=dict)


def _settings_of(directory: RunDirectory, run: Mapping[str, Any]) -> _Settings:
    """A run's settings, after a check of all that is read of run.json later."""
    try:
        decode(_Fingerprint, run["fingerprint"])
        return decode(_Settings, run.get("config"))
    except RunDirectoryError as error:
        raise RunDirectoryError(f"{directory.run} is not as a run wrote it: {error}") from None


def _asked(directory: RunDirectory) -> dict[str, dict[str, str]]:
    """Question id to its question and reference; empty where the run's data was not kept."""
    if not directory.dataset.is_file():
        return {}
    return {
        asked.id: document(asked.conversation, asked.reference, asked.others) for asked in directory.read_questions()
    }


def _nel_results(path: Path, metrics: Sequence[str] | None) -> Side:
    """The results of `nel eval run --bench` on our benchmark: metric values are in each row's details.

    A question that was asked several times has several answers here, all of one question.
    """
    results = list(files.read_jsonl(path / "results.jsonl"))
    repeated = any(row.get("repeat") for row in results)
    rows: list[dict[str, Any]] = []
    for row in results:
        details, about = row.get("scoring_details", {}), row.get("metadata", {})
        if not (isinstance(details, Mapping) and isinstance(about, Mapping) and isinstance(row.get("repeat", 0), int)):
            raise ComparisonError(
                f"{path / 'results.jsonl'}, row {len(rows) + 1}: scoring_details and metadata must be objects, and "
                "repeat an integer, as nel writes them"
            )
        numbers = {name: value for name, value in details.items() if name in METRICS or name == UNSCORED}
        question = about.get("id", row.get("problem_idx"))
        rows.append({**numbers, "id": repeat_id(question, row.get("repeat", 0)) if repeated else str(question)})
    if not rows or all(row.keys() == {"id"} for row in rows):
        raise ComparisonError(f"{path / 'results.jsonl'} holds no metric of ours: was it made with our benchmark?")
    side = _scores(path, rows, metrics)
    infos = {name: METRICS[name].unsigned for name in side.metrics}
    known, ids = of_bundle(path), [row["id"] for row in rows]
    shown = {row: _shown_of(result) for row, result in zip(ids, results, strict=True)}
    documents = {row: {**document("", of.reference or ""), **known} for row, of in shown.items()}
    documents = {row: of | ({TEXT: asked} if (asked := shown[row].question) else {}) for row, of in documents.items()}
    side = replace(side, metrics=infos, ours=True, repeated=repeated, shown=shown, kind="results of nel eval run")
    return _knowing(side, documents)


def _shown_of(result: Mapping[str, Any]) -> Shown:
    """What `nel` writes of a row: the prompt as it was sent, in the question's place."""
    found = (result.get(name) for name in ("prompt", "expected_answer", "model_response"))
    return Shown(*(text if isinstance(text, str) else None for text in found))


def _scores(path: Path, rows: Rows, metrics: Sequence[str] | None) -> Side:
    numbers = without_texts(str(path), rows)
    try:
        scores = scores_of(path, ({**row, "id": str(row["id"])} for row in numbers))
    except RunDirectoryError as error:
        raise ComparisonError(str(error)) from None
    _refuse_unusable(path, scores)
    names = list(dict.fromkeys(name for score in scores for name in score.values))
    wanted = names
    if metrics is not None:
        asked = _spelled(metrics)
        wanted = [name for name in names if name in asked]
        _refuse_none(path, wanted, names)
    notes = numbers_as_texts(path.name, rows)
    documents = {score.id: _document_beside(row) for score, row in zip(scores, rows, strict=True)}
    infos = {name: column_info(name) for name in wanted}
    return Side(path.stem, scores, infos, notes=notes, documents=documents)


def _document_beside(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row of scores says of its document beside its numbers."""
    question, reference = (text if isinstance(text := row.get(name), str) else "" for name in ("question", "reference"))
    return document(question, reference)


def _refuse_unusable(path: Path, scores: Sequence[Score]) -> None:
    """Make sure that statistics which another wrote beside a metric of ours are those of the metric."""
    first = next((score for score in scores if score.statistics), None)
    for metric, of in first.statistics.items() if first else ():
        aggregate = METRICS[metric].aggregate if metric in METRICS else None
        with reading(f"{path}, statistics of {metric}", ComparisonError, "leave the statistics out"):
            if aggregate is not None:
                aggregate(np.array([of], dtype=np.float64))


def _spelled(metrics: Sequence[str]) -> set[str]:
    """The names, and for those of our metrics the names that they stand for: ``rouge``, ``ROUGE-L``."""
    names = set(metrics)
    for name in metrics:
        try:
            names.update(expand_names([name]))
        except UsageError:  # another tool's metric
            continue
    return names


def _refuse_none(path: Path, wanted: Sequence[str], own: Sequence[str], why: str = "") -> None:
    if not wanted:
        raise ComparisonError(f"{path} has none of the metrics asked for, but {some(own) or 'no number'}{why}")


def _predictions(name: str, texts: Sequence[Texts], metrics: Sequence[str] | None, settings: MetricSettings) -> Side:
    from loralift.nemo.scoring import score_recorded

    if not any(text.reference.strip() for text in texts):
        raise ComparisonError(f"{name} has only empty references, by which no answer is right or wrong: write them in")
    examples = examples_of(texts)
    questions = [example.question for example in examples]
    names = expand_names(metrics) if metrics else PREDICTION_METRICS
    settings = replace(settings, nrefs=nrefs_of(questions))
    scores, _ = score_recorded(examples, names, settings, primary=names[0], variant=name)
    documents = {t.id: document("" if t.prompt else t.question, t.reference, t.others) for t in texts}
    notes = list(notes_of_texts(name, [text.prediction for text in texts], settings.thinking))
    notes += reference_notes((text.reference for text in texts), settings.thinking)
    if several := sum(bool(text.others) for text in texts):
        notes.append(f"{several} rows of {name} have several references; an answer may be like any of them.")
    if english := left_for_english(names, questions, settings):
        notes.append(f"{english}.")
    settings = with_weights(settings, names)
    infos = {metric: METRICS[metric].info(settings) for metric in names}
    return Side(
        name,
        scores,
        infos,
        ours=True,
        documents=documents,
        notes=tuple(notes),
        scored=True,
        examples=lambda: examples,
        thinking=settings.thinking,
        kind="predictions",
    )


def examples_of(texts: Sequence[Texts]) -> list[Example]:
    """Answers that came from elsewhere, as a metric sees them."""
    return [
        Example(Question(t.id, t.question, t.reference, others=t.others), Answer(t.id, t.prediction)) for t in texts
    ]


def _logged(path: Path, log: Log, metrics: Sequence[str] | None, settings: MetricSettings) -> Side:
    """The log's own metrics, or ours computed on its answers if it lacks one of those that are asked for."""
    name = log.name or path.stem
    own = list(log.metrics)
    asked = _spelled(own if metrics is None else metrics)
    if log.texts and (log.answers_alone or (metrics and not set(metrics) <= set(own))):
        side = _predictions(name, log.texts, metrics, settings)
        beside = not_compared(name, [metric for metric in own if metric in asked], "the log")
        side = replace(side, notes=(*beside, *side.notes))
    else:
        wanted = [metric for metric in own if metric in asked]
        _refuse_none(path, wanted, own, "" if log.texts else "; its answers are no texts that --metrics could score")
        texts = log.texts
        examples = (lambda: examples_of(texts)) if texts else None
        side = Side(name, scores_of(path, log.values), {metric: log.metrics[metric] for metric in wanted})
        side = replace(side, examples=examples)
    side = replace(
        side,
        kind=f"a log of {log.tool}",
        notes=(*log.notes, *side.notes),
        filters=log.filters,
        id_columns=(log.id_column,) if log.id_column else (),
        repeated=log.repeated,
        no_ids=log.no_ids,
        lines=log.lines,
        logged=True,
        thinking=settings.thinking,
    )
    side = _knowing(side, {t.id: document("" if t.prompt else t.question, t.reference) for t in log.texts})
    return _knowing(side, log.known)
