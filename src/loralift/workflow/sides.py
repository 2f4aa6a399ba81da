"""What can stand on a side of `loralift compare`: a run's variant, a file of scores, a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.metrics import METRICS, MetricSettings, expand_names
from loralift.nemo.summaries import PREDICTION_METRICS
from loralift.records import Answer, Comparison, Example, MetricInfo, Question, Score, SdkPairedTest
from loralift.workflow import files
from loralift.workflow.codec import score_of
from loralift.workflow.comparing import compare_scores
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import read_summaries


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: What the tables call it.
        scores: One a row.
        metrics: What is known of its metrics.
        primary: The metric that its run was decided by, if it is of a run.
    """

    name: str
    scores: Sequence[Score]
    metrics: Mapping[str, MetricInfo]
    primary: str | None = None


def compare_sides(
    baseline: Path,
    candidate: Path,
    *,
    metrics: Sequence[str] | None,
    primary: str | None,
    margins: Mapping[str, float],
    seed: int,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare two sides on the metrics that both have.

    Args:
        baseline: The side compared against.
        candidate: The side judged.
        metrics: What to score predictions with, or which metrics of the scores to take; None: all that fit.
        primary: The metric that decides; None: the run's, else semantic_similarity, else the first.
        margins: Metric to equivalence margin.
        seed: Of every resampling.

    Raises:
        ComparisonError: The sides share no metric or no row.
        RunDirectoryError: A side cannot be read.
        UsageError: The primary metric is not among those that both sides have.
    """
    before, after = read_side(baseline, metrics), read_side(candidate, metrics)
    shared = {name: info for name, info in before.metrics.items() if name in after.metrics}
    judged = [name for name, info in shared.items() if info.higher_is_better is not None]
    if not judged:
        has = f"{baseline} has {some(before.metrics)}; {candidate} has {some(after.metrics)}"
        raise ComparisonError(f"the two sides share no metric to judge by: {has}")
    preferred = [primary] if primary else [before.primary, after.primary, "semantic_similarity", judged[0]]
    chosen = next((name for name in preferred if name in judged), None)
    if chosen is None:
        raise UsageError(wrong_argument("--primary", f"one of {', '.join(judged)}", primary))
    name = after.name if after.name != before.name else f"{after.name} (candidate)"
    return compare_scores(
        (before.name, before.scores), {name: after.scores}, shared, primary=chosen, margins=margins, seed=seed
    )


def read_side(path: Path, metrics: Sequence[str] | None) -> Side:
    """Read one side.

    Raises:
        RunDirectoryError: There is no such side, or it cannot be read.
        ComparisonError: Its lines are neither scores nor predictions.
    """
    if path.is_dir() and (path / "results.jsonl").is_file():
        return _nel_results(path, metrics)
    if path.is_dir():
        return _variant(path, metrics)
    rows = files.read_jsonl(path)
    if not rows or any("id" not in row for row in rows):
        raise ComparisonError(f"{path} must have lines of JSON with an id, got {_keys(rows)}")
    if "prediction" in rows[0]:
        return _predictions(path, rows, metrics)
    return _scores(path, rows, metrics)


def _variant(path: Path, metrics: Sequence[str] | None) -> Side:
    directory = RunDirectory(path.parent)
    run = directory.read_run()
    infos, _ = read_summaries(directory, path.name)
    if metrics is not None:
        infos = {name: info for name, info in infos.items() if name in expand_names(metrics)}
    scores = [score_of(row) for row in files.read_jsonl(directory.scores(path.name))]
    return Side(path.name, scores, infos, run["config"]["primary"])


def _nel_results(path: Path, metrics: Sequence[str] | None) -> Side:
    """What `nel eval run --bench` on our benchmark wrote: every metric's value stands in a row's details.

    A question that was asked several times has several answers here, all of one question.
    """
    rows = []
    for row in files.read_jsonl(path / "results.jsonl"):
        details = row.get("scoring_details", {})
        numbers = {name: value for name, value in details.items() if name in METRICS}
        question = row.get("metadata", {}).get("id", row.get("problem_idx"))
        rows.append({**numbers, "id": f"{question}#{row['repeat']}" if row.get("repeat") else str(question)})
    if not rows or all(row.keys() == {"id"} for row in rows):
        raise ComparisonError(f"{path / 'results.jsonl'} holds no metric of ours: was it made with our benchmark?")
    return _scores(path, rows, metrics)


def _scores(path: Path, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None) -> Side:
    scores = [score_of({**row, "id": str(row["id"])}) for row in rows]
    names = list(dict.fromkeys(name for score in scores for name in score.values))
    wanted = names if metrics is None else [name for name in names if name in metrics]
    settings = MetricSettings()
    infos = {
        # A metric that is not ours is taken as it comes: the mean of its rows, higher is better.
        name: METRICS[name].info(settings) if name in METRICS else MetricInfo(name, name, low=None, high=None)
        for name in wanted
    }
    return Side(path.stem, scores, infos)


def _predictions(path: Path, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None) -> Side:
    from loralift.nemo.scoring import score_recorded

    examples = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get("prediction"), str) or not isinstance(row.get("reference"), str):
            raise ComparisonError(f"{path}, row {number}: must have texts as prediction and reference, got {list(row)}")
        question = Question(str(row["id"]), str(row.get("question", "")), row["reference"])
        examples.append(Example(question, Answer(question.id, row["prediction"])))
    names = expand_names(metrics) if metrics else PREDICTION_METRICS
    settings = MetricSettings()
    scores, _ = score_recorded(examples, names, settings, primary=names[0], variant=path.stem)
    return Side(path.stem, scores, {name: METRICS[name].info(settings) for name in names})


def _keys(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"lines with {some(rows[0])}" if rows else "an empty file"
