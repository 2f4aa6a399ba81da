"""What can stand on a side of `loralift compare`: a run's variant, a file of scores or predictions, a sample log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loralift.comparison import Settings, clusters_of, question_of, repeat_id
from loralift.errors import ComparisonError, RunDirectoryError, UsageError, some, wrong_argument
from loralift.metrics import METRICS, MetricSettings, expand_names
from loralift.nemo.summaries import PREDICTION_METRICS
from loralift.records import Answer, Comparison, Example, MetricInfo, Question, Score, SdkPairedTest
from loralift.workflow import files
from loralift.workflow.codec import score_of
from loralift.workflow.comparing import compare_scores, primary_of
from loralift.workflow.external_formats import (
    LOWER_IS_BETTER,
    Texts,
    is_sample_log,
    read_sample_log,
    read_texts,
    with_ids,
    without_texts,
)
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import read_summaries

DOC_HASH = "doc_hash"
RESAMPLES = 10_000

HIGHER_IS_BETTER = frozenset(
    {
        "acc", "acc_norm", "accuracy", "exact_match", "em", "f1", "precision", "recall", "mcc", "auc", "mrr", "ndcg",
        "bleu", "rouge", "rouge1", "rouge2", "rougel", "chrf", "meteor", "bertscore", "pass@1", "likelihood",
        "log_likelihood", "score", "reward",
    }
)  # fmt: skip
"""Metrics of other tools of which more is known to be better."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: What the tables call it.
        scores: One a row.
        metrics: What is known of its metrics.
        primary: The metric that its run was decided by, if it is of a run.
        documents: Id to what the side knows of the document: its ``question`` and ``reference``, or ``doc_hash``.
        notes: What was chosen in reading it, and what was left out, one sentence each.
        filtered: Whether a filter was chosen, as in lm-evaluation-harness's logs.
        repeated: Whether questions were answered several times, under ids like ``q7#2``; None: not known.
        config: Of its run, if it is of a run: what the comparison takes its margins, seed and resamples from.
    """

    name: str
    scores: Sequence[Score]
    metrics: Mapping[str, MetricInfo]
    primary: str | None = None
    documents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    filtered: bool = False
    repeated: bool | None = None
    config: Mapping[str, Any] | None = None


def compare_sides(
    baseline: Path,
    candidate: Path,
    *,
    metrics: Sequence[str] | None,
    primary: str | None,
    margins: Mapping[str, float],
    seed: int | None,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare two sides that lie on the disk: `read_sides`, then `compare_read`.

    Args:
        baseline: The side compared against.
        candidate: The side judged.
        metrics: What to score predictions with, or which metrics of the scores to take; None: all that fit.
        primary: The metric that decides; None: the run's, else semantic_similarity, else the first.
        margins: Metric to equivalence margin, before the run's own.
        seed: Of every resampling; None: the run's, else 0.

    Raises:
        ComparisonError: The sides share no metric or no row.
        RunDirectoryError: A side cannot be read.
        UsageError: The primary metric is not among those that both sides have.
    """
    return compare_read(*read_sides(baseline, candidate, metrics), primary=primary, margins=margins, seed=seed)


def read_sides(
    baseline: Path, candidate: Path, metrics: Sequence[str] | None, filter_name: str | None = None
) -> tuple[Side, Side]:
    """Read both sides, under different names.

    Args:
        baseline: A run's variant, what `nel` wrote of our benchmark, or a .jsonl: of scores, of predictions, or an
            lm-evaluation-harness sample log.
        candidate: Likewise.
        metrics: As in `compare_sides`.
        filter_name: Which filter of a sample log; None: the first in it.

    Raises:
        ComparisonError: Lines of a file are neither scores nor predictions, or the two sides are of different data.
        RunDirectoryError: There is no such side, or it cannot be read.
        UsageError: A metric is unknown, or no side has such a filter.
    """
    before, after = (read_side(path, metrics, filter_name) for path in (baseline, candidate))
    if filter_name is not None and not (before.filtered or after.filtered):
        raise UsageError("`--filter` is for lm-evaluation-harness sample logs, and neither side is one")
    _refuse_other_data(before, after, f"{baseline} and {candidate}")
    if before.name == after.name and baseline.stem != candidate.stem:
        before, after = replace(before, name=baseline.stem), replace(after, name=candidate.stem)
    return before, after if after.name != before.name else replace(after, name=f"{after.name} (candidate)")


def compare_read(
    before: Side, after: Side, *, primary: str | None, margins: Mapping[str, float], seed: int | None
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare two sides on the metrics that both have; what is noted of the sides becomes the primary row's warnings.

    Margins, seed and resamples that are not given are those of the baseline's run, else of the candidate's.

    Raises:
        ComparisonError: The sides share no metric or no row.
        UsageError: The primary metric is not among those that both sides have.
    """
    shared = {name: info for name, info in before.metrics.items() if name in after.metrics}
    judged = [name for name, info in shared.items() if info.higher_is_better is not None]
    if not judged:
        has = "; ".join(f"{side.name} has {some(side.metrics) or 'no metric'}" for side in (before, after))
        raise ComparisonError(f"the two sides share no metric to judge by: {has}")
    chosen = primary or primary_of(judged, before.primary, after.primary)
    if chosen not in judged:
        raise UsageError(wrong_argument("--primary", f"one of {', '.join(judged)}", primary))
    config = next((side.config for side in (before, after) if side.config is not None), {})
    inherited = {name: margin for name, margin in config.get("margins", {}).items() if name in shared}
    settings = Settings(
        primary=chosen,
        margins={**inherited, **margins},
        seed=config.get("seed", 0) if seed is None else seed,
        resamples=config.get("resamples", RESAMPLES),
    )
    sides = (before.name, before.scores), {after.name: after.scores}
    comparison, tests = compare_scores(*sides, shared, settings, clusters=_clusters(before, after))
    notes = {name: (*_assumed(name), *_made_differently(info, after.metrics[name])) for name, info in shared.items()}
    notes[chosen] = (*dict.fromkeys((*before.notes, *after.notes)), *notes[chosen])
    rows = tuple(replace(row, warnings=(*row.warnings, *notes[row.metric])) for row in comparison.rows)
    return replace(comparison, rows=rows), tests


def unpaired(before: Side, after: Side) -> str | None:
    """One sentence on the rows that only one side has; None where there are none."""
    left, right = ({score.id for score in side.scores} for side in (before, after))
    if left == right:
        return None
    lone = []
    for side, ids, other in ((before, left, right), (after, right, left)):
        only = [score.id for score in side.scores if score.id in ids - other]
        lone.append(f"{len(only)} only in {side.name}" + (f" ({some(only, 3)})" if only else ""))
    return f"{len(left & right)} rows are paired by id; could not be paired: {'; '.join(lone)}"


def read_side(path: Path, metrics: Sequence[str] | None, filter_name: str | None = None) -> Side:
    """Read one side.

    Raises:
        RunDirectoryError: There is no such side, or it cannot be read.
        ComparisonError: Its lines are neither scores nor predictions.
        UsageError: It has no such filter.
    """
    _refuse_refused(path)
    if path.is_dir() and (path / "results.jsonl").is_file():
        return _nel_results(path, metrics)
    if path.is_dir():
        return _variant(path, metrics)
    rows = files.read_jsonl(path)
    if is_sample_log(rows):
        return _sample_log(path, rows, metrics, filter_name)
    lines = with_ids(str(path), rows)
    texts = read_texts(str(path), lines)
    return _scores(path, lines, metrics) if texts is None else _predictions(path.stem, texts, metrics)


def _refuse_refused(path: Path) -> None:
    """A run's adapter that was left out has no folder; its run knows why."""
    run = RunDirectory(path.parent)
    reason = None if path.exists() or not run.run.is_file() else run.read_run().get("refused", {}).get(path.name)
    if reason:
        raise ComparisonError(f"{path} was refused in its run, and there is nothing to compare: {reason}")


def _refuse_other_data(before: Side, after: Side, sides: str) -> None:
    """Ids are often row numbers: refuse where what both sides know of a document differs."""
    both = [row for row in before.documents if row in after.documents]
    differing = {row: _differing(before.documents[row], after.documents[row]) for row in both}
    others = [row for row in both if differing[row]]
    if not others:
        return
    count = f"{len(others)} of {len(both)} ids"
    if any(DOC_HASH in differing[row] for row in others):
        what = f"{count} stand for another document on the other side ({DOC_HASH} differs): {some(others)}"
        raise ComparisonError(f"{what}; {sides} must be of the same data")
    raise ComparisonError(
        f"{sides}: for {count}, the same id stands for another question or reference on the other side: "
        f"{some(others)}; were they asked the same data?"
    )


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return [part for part in one if part in other and one[part] != other[part]]


def _document(question: str, reference: str) -> dict[str, str]:
    """What is known of a document, whatever its white space; no question is none known."""
    parts = {"question": question, "reference": reference}
    return {part: " ".join(text.split()) for part, text in parts.items() if text.strip()}


def _clusters(before: Side, after: Side) -> Callable[[str], str] | None:
    """Row id to question: what runs know of their repeats, else what the ids of both sides tell."""
    known = {before.repeated, after.repeated}
    if known == {True}:
        return question_of
    if False in known and True not in known:
        return None
    return clusters_of([score.id for side in (before, after) for score in side.scores])


def _variant(path: Path, metrics: Sequence[str] | None) -> Side:
    directory = RunDirectory(path.parent)
    also = not directory.run.is_file() and path.parent.parent.name == "also"  # a further data set of a run
    run = (RunDirectory(path.parents[2]) if also else directory).read_run()
    infos, _ = read_summaries(directory, path.name)
    if metrics is not None:
        asked = expand_names(metrics)
        _refuse_none(path, [name for name in infos if name in asked], list(infos))
        infos = {name: info for name, info in infos.items() if name in asked}
    scores = [score_of(row) for row in files.read_jsonl(directory.scores(path.name))]
    config = run["config"]
    repeated = config.get("repeats", 1) > 1
    asked_by_id = _asked(directory)
    questions = {score.id: question_of(score.id) if repeated else score.id for score in scores}
    documents = {row: asked_by_id[question] for row, question in questions.items() if question in asked_by_id}
    return Side(path.name, scores, infos, config["primary"], documents=documents, repeated=repeated, config=config)


def _asked(directory: RunDirectory) -> dict[str, dict[str, str]]:
    """Question id to what is known of it; nothing where the run's data was not kept."""
    rows = files.read_jsonl(directory.dataset) if directory.dataset.is_file() else []
    return {str(row.get("id")): _document(str(row.get("question", "")), str(row.get("reference", ""))) for row in rows}


def _nel_results(path: Path, metrics: Sequence[str] | None) -> Side:
    """What `nel eval run --bench` on our benchmark wrote: every metric's value stands in a row's details.

    A question that was asked several times has several answers here, all of one question.
    """
    results = files.read_jsonl(path / "results.jsonl")
    repeated = any(row.get("repeat") for row in results)
    rows = []
    for row in results:
        details = row.get("scoring_details", {})
        numbers = {name: value for name, value in details.items() if name in METRICS}
        question = row.get("metadata", {}).get("id", row.get("problem_idx"))
        rows.append({**numbers, "id": repeat_id(question, row.get("repeat", 0)) if repeated else str(question)})
    if not rows or all(row.keys() == {"id"} for row in rows):
        raise ComparisonError(f"{path / 'results.jsonl'} holds no metric of ours: was it made with our benchmark?")
    return replace(_scores(path, rows, metrics), repeated=repeated)


def _scores(path: Path, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None) -> Side:
    numbers = without_texts(str(path), rows)
    scores = [_score(path, number, row) for number, row in enumerate(numbers, start=1)]
    names = list(dict.fromkeys(name for score in scores for name in score.values))
    wanted = names
    if metrics is not None:
        asked = _spelled(metrics)
        wanted = [name for name in names if name in asked]
        _refuse_none(path, wanted, names)
    settings = MetricSettings()
    ours = {name: METRICS[name].info(settings) for name in wanted if name in METRICS}
    infos = {name: replace(ours[name], signature="") if name in ours else _foreign(name) for name in wanted}
    return Side(path.stem, scores, infos)


def _score(path: Path, number: int, row: Mapping[str, Any]) -> Score:
    try:
        return score_of({**row, "id": str(row["id"])})
    except RunDirectoryError as error:
        raise ComparisonError(f"{path}, row {number}: {error}") from None


def _spelled(metrics: Sequence[str]) -> set[str]:
    """Names as they are, and those that they stand for where they are of our metrics: ``rouge``, ``ROUGE-L``."""
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


def _predictions(name: str, texts: Sequence[Texts], metrics: Sequence[str] | None) -> Side:
    from loralift.nemo.scoring import score_recorded

    examples = [Example(Question(t.id, t.question, t.reference), Answer(t.id, t.prediction)) for t in texts]
    names = expand_names(metrics) if metrics else PREDICTION_METRICS
    settings = MetricSettings()
    scores, _ = score_recorded(examples, names, settings, primary=names[0], variant=name)
    documents = {text.id: _document("" if text.prompt else text.question, text.reference) for text in texts}
    return Side(name, scores, {name: METRICS[name].info(settings) for name in names}, documents=documents)


def _sample_log(
    path: Path, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None, filter_name: str | None
) -> Side:
    """The log's own metrics, or ours on its answers where it has not all of those that are asked for."""
    log = read_sample_log(str(path), rows, filter_name)
    name = path.resolve().parent.name or path.stem  # the harness makes a folder a model
    own = [metric for metric in log.values[0] if metric != "id"]
    if metrics and log.texts and not set(metrics) <= set(own):
        side = _predictions(name, log.texts, metrics)
    else:
        asked = _spelled(own if metrics is None else metrics)
        wanted = [metric for metric in own if metric in asked]
        _refuse_none(path, wanted, own, "" if log.texts else "; its answers are no texts that --metrics could score")
        infos = {metric: _foreign(metric, "tool:lm-evaluation-harness") for metric in wanted}
        side = Side(name, [score_of(row) for row in log.values], infos)
    documents = {row: {DOC_HASH: digest} for row, digest in log.documents.items()}
    return replace(side, documents=documents, notes=log.notes, filtered=True)


def _foreign(name: str, signature: str = "") -> MetricInfo:
    """A metric that is not ours, taken as it comes: the mean of its rows."""
    better = name.lower() not in LOWER_IS_BETTER
    return MetricInfo(name, name, low=None, high=None, higher_is_better=better, signature=signature)


def _assumed(name: str) -> tuple[str, ...]:
    """What a reader must know of a metric whose direction nobody told."""
    if name in METRICS or name.lower() in LOWER_IS_BETTER or name.lower() in HIGHER_IS_BETTER:
        return ()
    return (f"The direction of {name} is assumed: more of it counts as better.",)


def _made_differently(before: MetricInfo, after: MetricInfo) -> tuple[str, ...]:
    if not before.signature or not after.signature or before.signature == after.signature:
        return ()
    return (f"The two sides made it differently: {before.signature}, and {after.signature}.",)
