"""The second stage: recorded answers become scores, aggregates and bundles, which are read again; no model, no GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from loralift.comparison import question_of
from loralift.errors import MetricError, RunDirectoryError, shown, some
from loralift.metrics import nrefs_of
from loralift.reading import reading
from loralift.records import (
    Example,
    Ids,
    MetricInfo,
    MetricSummary,
    ReferenceLikelihood,
    Score,
    Scores,
    Thinking,
)
from loralift.workflow import files, memory
from loralift.workflow.codec import decode, plain, score_row, scores_of
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.recorded import read_answers, read_records
from loralift.workflow.run_directory import RunDirectory
from loralift.workflow.scoring import PERPLEXITY, Scoring, parting_settings, refuse_other_weights, with_settings
from loralift.workflow.thinking import decode_thinking, thinking_of

if TYPE_CHECKING:
    from loralift.nemo.parts import Together

AGAIN_SCORED = "score again with loralift run … --resume"


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of a variant once it is scored, before it is written.

    Attributes:
        scores: One an answer, in the order of the questions.
        bundle: What `score_recorded` returned of NeMo Evaluator.
    """

    scores: Scores
    bundle: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """What is known of some of a variant's rows once they are scored.

    Attributes:
        scores: One an answer, in the order of the questions.
        together: What NeMo Evaluator says of them.
    """

    scores: Scores
    together: Together


def scoring_of_data(scoring: Scoring, dataset: DatasetRun) -> Scoring:
    """The same scoring, whose signatures say how many references the data's rows have."""
    nrefs = nrefs_of(dataset.data.questions)
    return scoring if nrefs == scoring.settings.nrefs else with_settings(scoring, nrefs=nrefs)


def score_variant(dataset: DatasetRun, variant: str, scoring: Scoring) -> Scored:
    """Score a variant's answers; writes nothing, so that any process may do it.

    Raises:
        RunDirectoryError: An answer is missing.
        MetricError: A metric of the user's own fails; the answers stay on the disk.
    """
    [every] = shared_out(dataset, 1)
    return united(dataset, [score_rows(dataset, variant, scoring, every)])


def shared_out(dataset: DatasetRun, among: int) -> list[slice]:
    """The rows of a data set in equal parts, at most so many, each of whole calls of the SDK."""
    from loralift.nemo.scoring import AT_ONCE

    calls = max(-(-len(dataset.questions) // AT_ONCE), 1)
    parts = min(among, calls)
    ends = [AT_ONCE * (calls * number // parts) for number in range(parts + 1)]
    return [slice(*bounds) for bounds in pairwise(ends)]


@memory.looked_for_seldom()
def score_rows(dataset: DatasetRun, variant: str, scoring: Scoring, rows: slice) -> ScoredRows:
    """Score some of a variant's answers, as of `shared_out`; see `score_variant`."""
    from loralift.nemo.scoring import score_some

    examples = _examples(dataset, variant, rows)
    memory.give_back()
    with _answers_are_kept():
        refuse_other_weights(scoring)
        found = score_some(
            examples,
            list(scoring.metrics),
            parting_settings(dataset.directory, scoring),
            primary=scoring.primary,
            benchmark=dataset.name or scoring.benchmark,
            variant=variant,
            first=rows.start,
        )
    return ScoredRows(*found)


def united(dataset: DatasetRun, parts: Sequence[ScoredRows]) -> Scored:
    """A variant of which all rows were scored, from the parts in their order.

    Raises:
        RuntimeError: They are not the scores of the data set's rows.
    """
    first, *others = parts
    for part in others:
        first.together.extend(part.together)
    scores = Scores.of(chain.from_iterable(part.scores for part in parts)) if others else first.scores
    if scores.ids != Ids.of(question.id for question in dataset.questions):
        raise RuntimeError(f"{len(scores)} scores are of other rows than the {len(dataset.questions)} of the data set")
    return Scored(scores, first.together.bundle())


@contextmanager
def _answers_are_kept() -> Iterator[None]:
    """Say with a metric's failure how the run goes on."""
    try:
        yield
    except MetricError as error:
        raise MetricError(f"{error}; every answer is kept: mend it or leave it out, and add --resume") from error


@memory.looked_for_seldom()
def write_scored(dataset: DatasetRun, variant: str, scoring: Scoring, scored: Scored) -> None:
    """Write a variant's scores, its aggregates and its bundles; only for the process that holds the run's lock."""
    from loralift.nemo.bundles import write_bundles

    directory, scores, scoring = dataset.directory, scored.scores, scoring_of_data(scoring, dataset)
    summaries = write_values(dataset, variant, scoring, scores)
    with files.disk_errors(directory.nemo(variant)):
        write_bundles(directory.nemo(variant), scored.bundle, scores, summaries, scoring.metrics, dataset.clusters)


def write_values(
    dataset: DatasetRun, variant: str, scoring: Scoring, scores: Sequence[Score]
) -> Mapping[str, MetricSummary]:
    """Write a variant's scores and its aggregates, and return these; only for the process that holds the run's lock."""
    from loralift.nemo.summaries import summarise_all

    directory = dataset.directory
    files.write_jsonl(directory.scores(variant), map(score_row, scores))
    summaries = summarise_all(scores, scoring.metrics, scoring.seed, dataset.clusters)
    results: dict[str, Any] = {"variant": variant, "rows": len(scores), "primary": scoring.primary}
    results["thinking"] = plain(thinking_of(directory))
    results["metrics"] = {
        name: {**plain(summary), "info": plain(scoring.metrics[name])} for name, summary in summaries.items()
    }
    files.write_json(directory.results(variant), results)
    return summaries


def score_anew(dataset: DatasetRun, variant: str, scoring: Scoring, examples: Sequence[Example]) -> Scores:
    """Score other answers than those of a run, on the judged metrics but perplexity; writes nothing."""
    from loralift.nemo.scoring import score_recorded

    names = [name for name in scoring.judged if name != PERPLEXITY]
    if not names or not examples:
        return Scores.of(())
    with _answers_are_kept():
        settings = parting_settings(dataset.directory, scoring)
        return score_recorded(examples, names, settings, primary=names[0], variant=variant)[0]


def read_scores(directory: RunDirectory, variant: str) -> Scores:
    """The scores of a variant that was scored.

    Raises:
        RunDirectoryError: There are none, the file is damaged, or it has other rows than were scored.
    """
    scores = scores_of(directory.scores(variant), files.read_jsonl(directory.scores(variant)))
    rows = _read_results(directory, variant).get("rows")
    if rows is not None and rows != len(scores):
        raise RunDirectoryError(
            f"{directory.scores(variant)} has {len(scores)} rows, and {shown(rows)} were scored "
            f"({directory.results(variant).name}): score again with loralift run … --resume"
        )
    return scores


def read_summaries(directory: RunDirectory, variant: str) -> tuple[dict[str, MetricInfo], dict[str, MetricSummary]]:
    """The metrics and their aggregates that a variant's results file holds.

    Raises:
        RunDirectoryError: The file is not there, or not as it was written.
    """
    metrics = _read_results(directory, variant)["metrics"]
    with reading(directory.results(variant), RunDirectoryError, AGAIN_SCORED):
        infos = {name: decode(MetricInfo, entry.pop("info")) for name, entry in metrics.items()}
        return infos, {name: decode(MetricSummary, entry) for name, entry in metrics.items()}


def read_thinking(directory: RunDirectory, variant: str) -> Thinking:
    """How thinking was parted from a variant's answers when they were scored: not at all by a LoraLift that did not.

    Raises:
        RunDirectoryError: The file is not there, or not as it was written.
    """
    return decode_thinking(_read_results(directory, variant).get("thinking"), directory.results(variant))


def _read_results(directory: RunDirectory, variant: str) -> dict[str, Any]:
    path = directory.results(variant)
    found: dict[str, Any] = files.read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("metrics"), dict):
        raise RunDirectoryError(f"{path} was not written by loralift: it has no metrics; {AGAIN_SCORED}")
    return found


def _examples(dataset: DatasetRun, variant: str, rows: slice) -> Iterator[Example]:
    ids = Ids.of(question.id for question in dataset.questions)
    some_of = rows.stop - rows.start < len(ids)
    own = ids[rows] if some_of else ids
    answers = read_answers(dataset.directory, variant, only=frozenset(own) if some_of else None)
    missing = own.take(answers.ids.places_of(own) < 0)
    if len(missing):
        place = dataset.directory.answers(variant)
        raise RunDirectoryError(f"{place} lacks the answers to {some(missing)}: add --resume")
    # A question answered several times has one reference, scored once.
    asked = question_of if dataset.repeats > 1 else str
    references = dataset.directory.references(variant)
    wanted = frozenset(map(asked, own)) if some_of else None
    likelihoods = read_records(references, ReferenceLikelihood, only=wanted) if references.exists() else {}
    pairs = zip(dataset.questions[rows], answers.in_order(own), strict=True)
    return (Example(question, answer, likelihoods.get(asked(question.id))) for question, answer in pairs)
