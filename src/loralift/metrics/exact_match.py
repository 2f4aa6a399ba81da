"""Exact match and token F1 on words as ``normalisation`` makes them; ``squad`` has those of SQuAD's script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from loralift.metrics import ngrams
from loralift.metrics.base import Metric, MetricSettings, RowValue, ScoreRows, per_row, sign
from loralift.metrics.blindness import blind_to, without_spaces
from loralift.metrics.normalisation import words_of
from loralift.metrics.references import best_of, pairs_of
from loralift.metrics.rouge import f_measure
from loralift.metrics.tokenizers import UNICODE, by_unicode, parted
from loralift.records import Example

WordsOf = Callable[[str], tuple[str, ...]]


def same_words(words: WordsOf) -> ScoreRows:
    """1 where answer and reference, or one of several, have the same words in the same order, else 0."""

    def exact_match(example: Example) -> float:
        answer = words(example.answer.text)
        return float(any(answer == words(reference) for reference in example.question.references))

    return per_row(exact_match)


def shared_words(words: WordsOf) -> ScoreRows:
    """F-measure over words, each matched as often as both sides have it; 0 where a side has none.

    Of several references the one with the largest counts.
    """

    def f1(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        pairs = pairs_of(examples)
        numbers = ngrams.numbered(map(words, chain.from_iterable(zip(pairs.answers, pairs.references, strict=True))))
        answers, references = numbers[::2], numbers[1::2]
        matches = ngrams.matches(answers, references, 1)[:, 0].tolist()
        values = [f_measure(*of) for of in zip(matches, map(len, answers), map(len, references), strict=True)]
        return [RowValue(float(value)) for value in pairs.best(values)]

    return f1


def characters_of(text: str) -> tuple[str, ...]:
    """The same words, those of scripts without spaces parted into letters."""
    return tuple(chain.from_iterable(map(parted, words_of(text))))


BY_WORDS, BY_CHARACTERS = shared_words(words_of), shared_words(characters_of)


def f1(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """Token F1 of each row, in [0, 1]."""
    return (BY_CHARACTERS if by_unicode(settings) else BY_WORDS)(examples, settings)


# A Chinese sentence is one word between two spaces: exact match in disguise.
UNSPACED = blind_to(without_spaces, "token F1", "its words are not separated by spaces")


def unscorable(examples: Sequence[Example], settings: MetricSettings) -> Sequence[str | None]:
    """Rows of which the words cannot be told apart."""
    return [None] * len(examples) if by_unicode(settings) else UNSPACED(examples, settings)


def signature(settings: MetricSettings) -> str:
    """What the normalisation does; the values are LoraLift's own."""
    return sign(
        "loralift",
        normalisation="loralift",
        case="lower",
        punctuation="removed-but-in-numbers",
        articles="removed-before-words",
        **best_of(settings),
    )


def f1_signature(settings: MetricSettings) -> str:
    """The same, and how words are parted."""
    return "|".join([f"tok:{UNICODE}"] * by_unicode(settings) + [signature(settings)])


# One answer in a hundred.
EXACT_MATCH = Metric("exact_match", "Exact match", same_words(words_of), signature, margin=0.01)
# As ROUGE-1, which it is but for the normalisation.
F1 = Metric(
    "f1",
    "Token F1",
    f1,
    f1_signature,
    margin=0.01,
    unscorable=unscorable,
)
