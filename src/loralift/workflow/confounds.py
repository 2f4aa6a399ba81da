"""Other explanations of a difference than quality (lengths, slices, noise, leaks), and the findings in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from loralift.comparison import (
    Settings,
    adjust_for_length,
    compare,
    compare_slices,
    contributions,
    noise_floor,
)
from loralift.data import find_leaks
from loralift.metrics import METRICS
from loralift.records import (
    BASE,
    Answer,
    ById,
    Confounds,
    CutComparison,
    IdKeeper,
    Leak,
    MetricComparison,
    MetricInfo,
    NoiseFloor,
    Plain,
    Question,
    Score,
    Scores,
    conversation_of,
)
from loralift.workflow import memory
from loralift.workflow.comparing import corpus_aggregates
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.recorded import read_records
from loralift.workflow.scoring import Scoring

LENGTHS = "answer_words"

UNSOUND = ("empty", "repeating", "run_on", "copied_prompt")
"""Flags of answers that failed. Not those that were only cut off: that is the run's limit, and what is there may be
good; one that never ends is a loop, or runs on."""


@memory.looked_for_seldom()
def confounds_of(
    dataset: DatasetRun,
    scoring: Scoring,
    scores: Mapping[str, Sequence[Score]],
    settings: Settings,
    *,
    again: Sequence[Score] = (),
    training: Sequence[str] = (),
    cuts: Sequence[CutComparison] = (),
) -> Confounds:
    """Look for every other explanation of the differences.

    Args:
        dataset: The data set.
        scoring: The metrics.
        scores: Variant to its scores, the base's among them.
        settings: The comparison's own, with which all further comparisons here are made too.
        again: The scores of the base's second answers; empty where there are none.
        training: The texts of the training data, one for each row, the same for all adapters; empty where not given.
        cuts: The comparison with answers that end earlier.
    """
    candidates = {name: rows for name, rows in scores.items() if name != BASE}
    primary = scoring.metrics[settings.primary]
    aggregates = corpus_aggregates(scoring.metrics)
    leaks = find_leaks(dataset.data.questions, training) if training else ()
    return Confounds(
        lengths=(
            adjust_for_length(scores[BASE], candidates, scoring.metrics, clusters=dataset.clusters)
            if LENGTHS in scoring.metrics
            else ()
        ),
        slices=compare_slices(
            scores[BASE],
            candidates,
            primary,
            columns_of(dataset.data.questions),
            settings,
            aggregate=aggregates.get(primary.name),
            clusters=dataset.clusters,
        ),
        contributions=contributions(scores[BASE], candidates, primary, UNSOUND, settings, clusters=dataset.clusters),
        noise=_noise(scoring, scores[BASE], again, dataset.clusters),
        answers_changed=_answers_changed(dataset, list(candidates)),
        leaks=dict.fromkeys(candidates, tuple(leaks)) if training else {},
        without_leaks=without_leaks(scores, scoring.metrics, settings, leaks, dataset.clusters) if leaks else {},
        cuts=tuple(cuts),
    )


def columns_of(questions: Sequence[Question]) -> dict[str, ById[Plain]]:
    """The columns to slice by: the lengths of question and reference, and every further column of the data."""
    names = IdKeeper()
    lengths: dict[str, list[Plain]] = {"question words": [], "reference words": []}
    fields: dict[str, list[Plain]] = {}
    for place, question in enumerate(questions):
        names.append(question.id)
        for name, text in zip(lengths, (question.question, question.reference), strict=True):
            lengths[name].append(len(text.split()))
        for name, value in question.fields.items():
            column = fields.setdefault(name, [])
            column += [None] * (place - len(column))
            # interned, since a topic of a million rows is one text
            column.append(sys.intern(value) if isinstance(value, str) else value)
    ids = names.ids()
    every = {**lengths, **fields}
    return {name: ById(ids, column + [None] * (len(ids) - len(column))) for name, column in every.items()}


def _noise(
    scoring: Scoring, first: Sequence[Score], again: Sequence[Score], clusters: Callable[[str], str] | None
) -> tuple[NoiseFloor, ...]:
    """The noise floor of the metrics that depend on answers."""
    if not again:
        return ()
    first = Scores.of(first)
    rows = first.ids.places_of(Scores.of(again).ids)
    of_answers = {*METRICS, *(metric.name for metric in scoring.settings.own)} - {"perplexity"}
    moved = {
        name: info for name, info in scoring.metrics.items() if info.higher_is_better is not None and name in of_answers
    }
    same_rows = first.take(np.sort(rows[rows >= 0]))
    return noise_floor(same_rows, again, moved, corpus_aggregates(moved), clusters=clusters)


def _answers_changed(dataset: DatasetRun, candidates: Sequence[str]) -> dict[str, float]:
    """Candidate to the share of its answers that are not exactly the base's."""
    base = read_records(dataset.directory.answers(BASE), Answer)
    shares = {}
    for name in candidates:
        answers = read_records(dataset.directory.answers(name), Answer)
        pairs = zip(answers.rows, base.in_order(answers.ids), strict=True)
        shares[name] = sum(answer.text != before.text for answer, before in pairs) / len(answers)
    return shares


def without_leaks(
    scores: Mapping[str, Sequence[Score]],
    metrics: Mapping[str, MetricInfo],
    settings: Settings,
    leaks: Sequence[Leak],
    clusters: Callable[[str], str] | None,
) -> dict[str, MetricComparison]:
    """The whole comparison (all metrics and candidates) once more, on the rows that did not leak.

    Args:
        scores: Variant to its scores, the base's among them.
        metrics: All that were compared, so that the family of the adjusted p is the same and only the rows differ.
        settings: The comparison's own.
        leaks: The rows found in the training data.
        clusters: Row id to question, where questions were answered several times, or to the conversation of several
            turns, which leaks as a whole.

    Returns:
        Candidate to its row of the primary metric; none where no row is left.
    """
    leaked, question_of = {conversation_of(leak.id) for leak in leaks}, clusters or str
    clean = {
        name: [score for score in rows if conversation_of(question_of(score.id)) not in leaked]
        for name, rows in scores.items()
    }
    base = clean.pop(BASE)
    if not base:
        return {}
    found = compare(BASE, base, clean, metrics, settings, aggregates=corpus_aggregates(metrics), clusters=clusters)
    return {row.candidate: row for row in found.rows if row.metric == settings.primary}
