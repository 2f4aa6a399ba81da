"""ROUGE-1, ROUGE-2 and ROUGE-L, f-measure (Lin 2004), with the values of Google's ``rouge_score``, faster.

What differs is how tokens are counted: all three metrics are made from one pass over the pairs, n-grams as in
``ngrams``, and the longest common subsequence, a table in pure Python there, is rapidfuzz's bit-parallel one here.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from loralift.metrics import ngrams
from loralift.metrics.base import Metric, MetricSettings, RowValue, Unscorable, sign
from loralift.metrics.blindness import blind_to, outside_ascii
from loralift.metrics.references import best_of, pairs_of
from loralift.metrics.tokenizers import UNICODE, by_unicode, words_of
from loralift.records import Example

Tokens = tuple[str, ...]
Texts = tuple[tuple[str, str], ...]
"""Answer and reference of each pair."""

ORDERS = 2

_KEPT = (string.ascii_lowercase + string.digits).encode()
_NOTHING_ELSE = bytes(code if code in _KEPT else ord(" ") for code in range(256))


@cache
def stemming_tokenizer() -> Callable[[str], list[str]]:
    """``rouge_score``'s tokenizer that stems; it imports nltk, which is slow, and so only when needed."""
    from rouge_score.tokenizers import DefaultTokenizer

    stemming: Callable[[str], list[str]] = DefaultTokenizer(use_stemmer=True).tokenize
    return stemming


@lru_cache(maxsize=2048)
def tokens_of(text: str, stem: bool, unicode: bool = False) -> Tokens:
    """The text as ``rouge_score`` tokenises it: lower case, runs of ``a-z0-9``, optionally stemmed; or Unicode's words.

    The stems are Porter's, of English: of Unicode's words those of ASCII letters and digits alone have them.
    """
    if unicode and stem:
        return tuple(_stem(word) if word.isascii() and word.isalnum() else word for word in words_of(text))
    if unicode:
        return tuple(words_of(text))
    if stem:
        return tuple(stemming_tokenizer()(text))
    # A character that is not ASCII becomes a question mark, and with all other marks a space.
    return tuple(text.lower().encode("ascii", "replace").translate(_NOTHING_ELSE).decode("ascii").split())


def _stem(word: str) -> str:
    return tokens_of(word, True)[0]


def f_measure(matches: int, answer_total: int, reference_total: int) -> float:
    """Harmonic mean of precision and recall, in [0, 1]; 0 where nothing matches."""
    if matches == 0:
        return 0.0
    precision, recall = matches / answer_total, matches / reference_total
    return 2 * precision * recall / (precision + recall)


@lru_cache(maxsize=1)
def f_measures(pairs: Texts, stem: bool, unicode: bool = False) -> NDArray[np.float64]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of each pair, shape (pairs, 3); remembered, as each is a metric of its own.

    ROUGE-N matches each n-gram as often as both sides have it, ROUGE-L the longest common subsequence of tokens.
    """
    # rapidfuzz compares hashes, so tokens become numbers, which cannot collide.
    numbers = ngrams.numbered(tokens_of(text, stem, unicode) for pair in pairs for text in pair)
    answers, references = numbers[::2], numbers[1::2]
    matches = ngrams.matches(answers, references, ORDERS)
    longest = [LCSseq.similarity(*map(np.ndarray.tolist, pair)) for pair in zip(answers, references, strict=True)]
    of_answers, of_references = ngrams.totals(answers, ORDERS), ngrams.totals(references, ORDERS)
    sides = (np.column_stack([of_answers, of_answers[:, 0]]), np.column_stack([of_references, of_references[:, 0]]))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = (np.column_stack([matches, longest]) / side for side in sides)
        return np.nan_to_num(2 * precision * recall / (precision + recall))


BY_ASCII = blind_to(outside_ascii, "ROUGE", "its tokens are of a-z and 0-9")
BY_UNICODE = blind_to(lambda text: not any(map(str.isalnum, text)), "ROUGE", "there is no letter or digit")

NO_PAIR = "ROUGE-2 sees too little of the reference: it counts pairs of tokens, and there is one token"


def unscorable_by_tokens(examples: Sequence[Example], settings: MetricSettings) -> Sequence[str | None]:
    """One for all, so that every text is looked at once."""
    return (BY_UNICODE if by_unicode(settings) else BY_ASCII)(examples, settings)


def unscorable_by_pairs(examples: Sequence[Example], settings: MetricSettings) -> list[str | None]:
    """ROUGE-2 besides has nothing to count in a reference of one token, which even the reference itself scores 0 on."""
    found = unscorable_by_tokens(examples, settings)
    how = settings.rouge_stemmer, by_unicode(settings)
    alone = (any(len(tokens_of(text, *how)) < ORDERS for text in example.question.references) for example in examples)
    return [reason or (NO_PAIR if one else None) for reason, one in zip(found, alone, strict=True)]


def rouge(name: str, title: str, column: int, unscorable: Unscorable = unscorable_by_tokens) -> Metric:
    """One ROUGE metric, from its column in ``f_measures``."""

    def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
        pairs = pairs_of(examples)
        texts = tuple(zip(pairs.answers, pairs.references, strict=True))
        values = f_measures(texts, settings.rouge_stemmer, by_unicode(settings))[:, column]
        return [RowValue(value) for value in pairs.best(values).tolist()]

    def signature(settings: MetricSettings) -> str:
        tokens = {"tok": UNICODE} if by_unicode(settings) else {}
        return sign("rouge-score", score="f-measure", stemmer=settings.rouge_stemmer, **tokens, **best_of(settings))

    # One ROUGE point (0.01) is the least that papers call a gain.
    return Metric(name, title, score, signature, margin=0.01, unscorable=unscorable)


ROUGE_1 = rouge("rouge1", "ROUGE-1", 0)
ROUGE_2 = rouge("rouge2", "ROUGE-2", 1, unscorable_by_pairs)
ROUGE_L = rouge("rougeL", "ROUGE-L", 2)
