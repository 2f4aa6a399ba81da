"""Answers that end earlier: what the verdict would be with a stop string, or with half of the tokens.

A greedy answer that ends earlier is a prefix of the one that goes on, and a sampled one is as likely as one that was
sampled so. The answers that are there are cut and scored again, and nothing is generated.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loralift.comparison import Settings, compare
from loralift.kept import Keeper, chosen, keep
from loralift.records import (
    BASE,
    Answer,
    ById,
    CutComparison,
    Example,
    Ids,
    Protocol,
    Question,
    Score,
    Scores,
    Thinking,
    part,
)
from loralift.workflow.comparing import corpus_aggregates
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.markers import marker_of
from loralift.workflow.recorded import read_records
from loralift.workflow.scoring import PERPLEXITY, Scoring
from loralift.workflow.scoring_process import Scorer
from loralift.workflow.thinking import thinking_of

LEAST_SHORTER = 0.01
"""Least share of the base's or the adapter's answers that must be shorter for a cut to be told."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """One way to end earlier, and what it leaves of an answer."""

    kind: Literal["stop", "half"]
    stop: str
    max_new_tokens: int
    left: Callable[[Answer], str]


def cuts_of(
    dataset: DatasetRun, scorer: Scorer, scores: Mapping[str, Sequence[Score]], settings: Settings
) -> tuple[CutComparison, ...]:
    """The primary comparison with answers that end before a next question, and with answers of half the length.

    Args:
        dataset: The answers.
        scorer: Scores the answers that were cut.
        scores: Variant to the scores of its whole answers, the base's among them.
        settings: The comparison's own.

    Returns:
        One a cut and candidate; none where next to no answer of either side is shorter, or which cannot be told
        exactly; none of perplexity, which is of the references wherever answers end; none of half where any answer
        thinks, since half of it would often be no answer at all.
    """
    if settings.primary == PERPLEXITY:
        return ()
    answers = {variant: read_records(dataset.directory.answers(variant), Answer) for variant in scores}
    found: list[CutComparison] = []
    how = thinking_of(dataset.directory)
    for cut in _cuts(dataset.protocol, answers, how):
        shorter = {variant: _shorter(cut, of) for variant, of in answers.items()}
        shares = {variant: len(texts) / len(answers[variant]) for variant, texts in shorter.items()}
        if max(shares.values()) >= LEAST_SHORTER:
            cut_scores = {
                variant: _cut_scores(dataset, scorer, variant, Scores.of(scores[variant]), texts)
                for variant, texts in shorter.items()
            }
            found += _compared(dataset, scorer.scoring, settings, cut, cut_scores, shares)
    return tuple(found)


def _shorter(cut: _Cut, answers: ById[Answer]) -> ById[str]:
    """What is left of the answers that are shorter, by id."""
    places, texts = array("q"), Keeper[str]()
    for place, answer in enumerate(answers.rows):
        if (left := cut.left(answer)) != answer.text:
            places.append(place)
            texts.append(left)
    return ById(answers.ids.take(np.array(places, dtype=np.int64)), texts.kept())


def _cuts(protocol: Protocol, answers: Mapping[str, ById[Answer]], how: Thinking) -> Iterator[_Cut]:
    stop, most = marker_of(protocol.prompt), protocol.max_new_tokens
    if stop:
        yield _Cut("stop", stop, most, lambda answer: cut_at(answer.text, stop, how))
    half = most // 2
    every = (answer for of in answers.values() for answer in of.rows)
    if half and not any(_unknown(answer, half) or _thinks(answer, how) for answer in every):
        yield _Cut("half", "", half, half_of)


def _cut_scores(dataset: DatasetRun, scorer: Scorer, variant: str, scores: Scores, texts: ById[str]) -> Scores:
    """A variant's scores, those of the shortened answers made anew; references are as likely as before."""
    places = texts.ids.places_of(Ids.of(question.id for question in dataset.questions))
    shorter = chosen(dataset.questions, np.flatnonzero(places >= 0))
    left = texts.in_order(texts.ids) if (np.diff(places[places >= 0]) == 1).all() else _by(texts, shorter)
    examples = keep(Example(question, Answer(question.id, text)) for question, text in zip(shorter, left, strict=True))
    return scores.overlaid(scorer.anew(dataset, variant, examples), kept=(PERPLEXITY,))


def _by(texts: ById[str], questions: Sequence[Question]) -> Iterator[str]:
    return (texts[question.id] for question in questions)


def _compared(
    dataset: DatasetRun,
    scoring: Scoring,
    settings: Settings,
    cut: _Cut,
    scores: Mapping[str, Sequence[Score]],
    shares: Mapping[str, float],
) -> Iterator[CutComparison]:
    candidates = {name: rows for name, rows in scores.items() if name != BASE}
    # all judged metrics, so that the family of the adjusted p is the main comparison's and only the answers differ
    metrics = scoring.judged
    aggregates = corpus_aggregates(metrics)
    found = compare(BASE, scores[BASE], candidates, metrics, settings, aggregates=aggregates, clusters=dataset.clusters)
    for row in found.rows:
        of_sides = shares[BASE], shares[row.candidate]
        if row.metric == settings.primary and max(of_sides) >= LEAST_SHORTER:
            yield CutComparison(row.candidate, cut.kind, cut.stop, cut.max_new_tokens, *of_sides, row)


def cut_at(text: str, stop: str, how: Thinking) -> str:
    """An answer as it would be had it ended at a stop string that begins with no white space.

    It is looked for behind all thinking, which it would end before there is an answer.
    """
    found = part(text, how)
    place = -1 if found.answer is None else text.find(stop, max((end for _, end in found.spans), default=0))
    return text if place < 0 else text[:place].strip()


def _thinks(answer: Answer, how: Thinking) -> bool:
    """Whether half of an answer might be thinking alone, which is no answer to compare."""
    return bool(part(answer.text, how).spans)


def half_of(answer: Answer) -> str:
    """An answer as it would be with half of ``max_new_tokens``, but for a character that is not whole by then."""
    return answer.text if answer.half is None else answer.text[: answer.half].strip()


def _unknown(answer: Answer, half: int) -> bool:
    """Whether nobody knows what an answer's first half is."""
    return answer.half is None and (answer.output_tokens is None or answer.output_tokens > half)
