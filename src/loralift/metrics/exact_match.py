"""Exact match and token F1 on words as ``normalisation`` makes them; ``squad`` has those of SQuAD's script."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loralift.metrics import ngrams
from loralift.metrics.base import Metric, MetricSettings, RowValue, ScoreRows, per_row, sign
from loralift.metrics.blindness import blind_to, without_spaces
from loralift.metrics.normalisation import words_of
from loralift.metrics.rouge import f_measure
from loralift.records import Example

WordsOf = Callable[[str], tuple[str, ...]]


def same_words(words: WordsOf) -> ScoreRows:
    """1 where answer and reference have the same words in the same order, else 0."""

    def exact_match(example: Example) -> float:
        return float(words(example.answer.text) == words(example.question.reference))

    return per_row(exact_match)


def shared_words(words: WordsOf) -> ScoreRows:
    """F-measure over words, each matched as often as both sides have it; 0 where a side has none."""

    def f1(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        texts = (text for example in examples for text in (example.answer.text, example.question.reference))
        numbers = ngrams.numbered(map(words, texts))
        answers, references = numbers[::2], numbers[1::2]
        matches = ngrams.matches(answers, references, 1)[:, 0].tolist()
        return [RowValue(f_measure(*of)) for of in zip(matches, map(len, answers), map(len, references), strict=True)]

    return f1


def signature(settings: MetricSettings) -> str:
    """What the normalisation does; the values are LoraLift's own."""
    return sign(
        "loralift",
        normalisation="loralift",
        case="lower",
        punctuation="removed-but-in-numbers",
        articles="removed-before-words",
    )


# One answer in a hundred.
EXACT_MATCH = Metric("exact_match", "Exact match", same_words(words_of), signature, margin=0.01)
# As ROUGE-1, which it is but for the normalisation.
F1 = Metric(
    "f1",
    "Token F1",
    shared_words(words_of),
    signature,
    margin=0.01,
    # A Chinese sentence is one word between two spaces: exact match in disguise.
    unscorable=blind_to(without_spaces, "token F1", "its words are not separated by spaces"),
)
