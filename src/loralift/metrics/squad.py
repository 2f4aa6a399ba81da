"""Exact match and token F1 of SQuAD v1.1, by its evaluation script's normalisation and formulas.

Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text".
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import lru_cache

from loralift.metrics import ngrams
from loralift.metrics.base import Metric, MetricSettings, RowValue, per_row, sign
from loralift.metrics.rouge import f_measure
from loralift.records import Example

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]+")

_PUNCTUATION = string.punctuation.encode()
_WORDS = (string.ascii_letters + string.digits + " \t\n\r").encode()


@lru_cache(maxsize=2048)
def words_of(text: str) -> tuple[str, ...]:
    """The text's words: lower case, then without punctuation, then without articles."""
    try:
        bare = text.encode("ascii").translate(None, _PUNCTUATION)
    except UnicodeEncodeError:
        bare = b"?"
    if bare.translate(None, _WORDS):  # a mark that the script keeps, next to which an article ends too
        return tuple(ARTICLES.sub(" ", PUNCTUATION.sub("", text.lower())).split())
    return tuple([word for word in bare.decode("ascii").lower().split() if word not in ("a", "an", "the")])


def exact_match(example: Example) -> float:
    """1 where answer and reference have the same words in the same order, else 0."""
    return float(words_of(example.answer.text) == words_of(example.question.reference))


def f1(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """F-measure over words, each matched as often as both sides have it; 0 where a side has none."""
    texts = (text for example in examples for text in (example.answer.text, example.question.reference))
    numbers = ngrams.numbered(map(words_of, texts))
    answers, references = numbers[::2], numbers[1::2]
    matches = ngrams.matches(answers, references, 1)[:, 0].tolist()
    return [RowValue(f_measure(*of)) for of in zip(matches, map(len, answers), map(len, references), strict=True)]


def signature(settings: MetricSettings) -> str:
    """The script has no package: the values are LoraLift's own."""
    return sign("loralift", script="squad-v1.1", case="lower", punctuation="removed", articles="removed")


# One answer in a hundred.
EXACT_MATCH = Metric("exact_match", "Exact match", per_row(exact_match), signature, margin=0.01)
# As ROUGE-1, which it is but for the normalisation.
F1 = Metric("f1", "Token F1", f1, signature, margin=0.01)
