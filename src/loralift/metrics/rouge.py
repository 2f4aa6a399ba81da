"""ROUGE-1, ROUGE-2 and ROUGE-L, f-measure (Lin 2004), with the values of Google's ``rouge_score``, faster.

The tokens are ``rouge_score``'s own. What differs is how they are counted: a text is tokenised once for all three
metrics and all variants, and the longest common subsequence, a table in pure Python there, is rapidfuzz's
bit-parallel one here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial

from rapidfuzz.distance import LCSseq
from rouge_score.tokenize import tokenize

from loralift.metrics.base import Metric, MetricSettings, RowValue, sign
from loralift.records import Example

Tokens = tuple[str, ...]


@cache
def tokenizer(stem: bool) -> Callable[[str], list[str]]:
    """``rouge_score``'s tokenizer; the one that stems imports nltk, which is slow, and so only when needed."""
    if not stem:
        return partial(tokenize, stemmer=None)
    from rouge_score.tokenizers import DefaultTokenizer

    stemming: Callable[[str], list[str]] = DefaultTokenizer(use_stemmer=True).tokenize
    return stemming


@lru_cache(maxsize=8192)
def tokens_of(text: str, stem: bool) -> Tokens:
    """The text as ``rouge_score`` tokenises it: lower case, runs of ``a-z0-9``, optionally stemmed."""
    return tuple(sys.intern(token) for token in tokenizer(stem)(text))


def f_measure(matches: int, answer_total: int, reference_total: int) -> float:
    """Harmonic mean of precision and recall, in [0, 1]; 0 where nothing matches."""
    if matches == 0:
        return 0.0
    precision, recall = matches / answer_total, matches / reference_total
    return 2 * precision * recall / (precision + recall)


def rouge_n(answer: Tokens, reference: Tokens, n: int) -> float:
    """ROUGE-N: f-measure over n-grams, each matched as often as both sides have it."""
    answer_grams, reference_grams = (
        Counter(zip(*(tokens[i:] for i in range(n)), strict=False)) for tokens in (answer, reference)
    )
    matches = (answer_grams & reference_grams).total()
    return f_measure(matches, answer_grams.total(), reference_grams.total())


def rouge_l(answer: Tokens, reference: Tokens) -> float:
    """ROUGE-L: f-measure over the longest common subsequence of tokens."""
    # rapidfuzz compares hashes, so tokens become numbers, which cannot collide
    number: dict[str, int] = {}
    answer_ids, reference_ids = (
        [number.setdefault(token, len(number)) for token in tokens] for tokens in (answer, reference)
    )
    return f_measure(LCSseq.similarity(answer_ids, reference_ids), len(answer), len(reference))


def rouge(name: str, title: str, compare: Callable[[Tokens, Tokens], float]) -> Metric:
    """One ROUGE metric, from how it compares the tokens of an answer with those of its reference."""

    def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        stem = settings.rouge_stemmer
        return [
            RowValue(compare(tokens_of(e.answer.text, stem), tokens_of(e.question.reference, stem))) for e in examples
        ]

    def signature(settings: MetricSettings) -> str:
        return sign("rouge-score", score="f-measure", stemmer=settings.rouge_stemmer)

    # One ROUGE point (0.01) is the least that papers call a gain.
    return Metric(name, title, score, signature, margin=0.01)


ROUGE_1 = rouge("rouge1", "ROUGE-1", partial(rouge_n, n=1))
ROUGE_2 = rouge("rouge2", "ROUGE-2", partial(rouge_n, n=2))
ROUGE_L = rouge("rougeL", "ROUGE-L", rouge_l)
