"""Answers that end earlier: what the verdict would be with a stop string, or with half of the tokens.

A greedy answer that ends earlier is a prefix of the one that goes on, and a sampled one is as likely as one that was
sampled so. The answers that are there are cut and scored again, and nothing is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loralift.comparison import Settings, compare
from loralift.records import BASE, Answer, CutComparison, Example, Protocol, Score, Thinking, part
from loralift.workflow.asking import marker_of
from loralift.workflow.comparing import corpus_aggregates
from loralift.workflow.datasets import DatasetRun
from loralift.workflow.generating import read_records
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
        shorter = {
            variant: {key: left for key, answer in of.items() if (left := cut.left(answer)) != answer.text}
            for variant, of in answers.items()
        }
        if max(len(shorter[variant]) / len(answers[variant]) for variant in answers) >= LEAST_SHORTER:
            cut_scores = {
                variant: _cut_scores(dataset, scorer, variant, scores[variant], texts)
                for variant, texts in shorter.items()
            }
            shares = {variant: len(texts) / len(answers[variant]) for variant, texts in shorter.items()}
            found += _compared(dataset, scorer.scoring, settings, cut, cut_scores, shares)
    return tuple(found)


def _cuts(protocol: Protocol, answers: Mapping[str, Mapping[str, Answer]], how: Thinking) -> Iterator[_Cut]:
    stop, most = marker_of(protocol.prompt), protocol.max_new_tokens
    if stop:
        yield _Cut("stop", stop, most, lambda answer: cut_at(answer.text, stop, how))
    half = most // 2
    every = [answer for of in answers.values() for answer in of.values()]
    if half and not any(_unknown(answer, half) for answer in every) and not any(_thinks(each, how) for each in every):
        yield _Cut("half", "", half, half_of)


def _cut_scores(
    dataset: DatasetRun, scorer: Scorer, variant: str, scores: Sequence[Score], texts: Mapping[str, str]
) -> list[Score]:
    """A variant's scores, those of the shortened answers made anew; references are as likely as before."""
    shorter = [question for question in dataset.questions if question.id in texts]
    examples = [Example(question, Answer(question.id, texts[question.id])) for question in shorter]
    new = {score.id: score for score in scorer.anew(dataset, variant, examples)}
    return [_merged(score, new[score.id]) if score.id in new else score for score in scores]


def _merged(whole: Score, cut: Score) -> Score:
    """The cut answer's score, with the perplexity of the whole one's."""
    kept = {name: value for name, value in whole.values.items() if name == PERPLEXITY}
    statistics = {name: of for name, of in whole.statistics.items() if name == PERPLEXITY}
    reasons = {name: why for name, why in whole.unscored.items() if name == PERPLEXITY}
    return Score(whole.id, kept | dict(cut.values), statistics | dict(cut.statistics), reasons | dict(cut.unscored))


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
