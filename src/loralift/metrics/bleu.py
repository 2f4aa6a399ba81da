"""BLEU (Papineni et al. 2002) with the values of sacrebleu (Post 2018).

The rows' values are sacrebleu's sentence BLEU (effective order). The value of a corpus is not their mean: the rows'
ten sufficient statistics are summed, and ``corpus_bleu`` makes corpus values of the sums, for any number of
resamples at a time.

The tokens are sacrebleu's own, but a word at a time: none of 13a's rules looks beyond white space once line ends and
entities are replaced, and words come again and again. Other tokenizers are asked for whole texts.

Of several references an n-gram matches as often as the one has it that has it most often, and the length is that of
the reference nearest in length to the answer, the shorter of two: as in sacrebleu.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.metrics import ngrams, tokenizers
from loralift.metrics.base import Metric, MetricSettings, RowValue, Unscorable, sign
from loralift.metrics.blindness import blind_to
from loralift.metrics.references import all_of
from loralift.records import Example

ORDERS = 4

LOG_OF_ZERO = -9999999999.0
"""sacrebleu's: an n-gram order that no answer is long enough for makes the corpus value 0."""

REMEMBERED = 1 << 17
"""Words whose tokens are kept: 20 MB."""

REPLACED = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
"""What 13a replaces before it looks at words, in its order."""


@cache
def word_tokenizer() -> Any:
    """Sacrebleu's rules for the marks in and around a word."""
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

    return TokenizerRegexp()


class Words(dict[str, tuple[str, ...]]):
    """Words to their tokens, as sacrebleu makes them of a word between two spaces; filled as words come."""

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= REMEMBERED:
            self.clear()
        tokens = self[word] = tuple(word_tokenizer()(f" {word} ").split())
        return tokens


WORDS = Words()


def tokens_of(text: str) -> list[str]:
    """The text as sacrebleu's 13a tokenises it."""
    text = text.rstrip()
    for old, new in REPLACED:
        text = text.replace(old, new)
    return list(chain.from_iterable(map(WORDS.__getitem__, text.split())))


def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """Sentence BLEU and the statistics: answer length, reference length, 4 match counts, 4 n-gram totals."""
    tokens = tokenizer_of(settings)[1]
    texts = (text for example in examples for text in (example.answer.text, example.question.reference))
    numbers = ngrams.numbered(map(tokens, texts))
    answers, references = numbers[::2], numbers[1::2]
    lengths = [ngrams.totals(side, 1) for side in (answers, references)]
    statistics = np.hstack([*lengths, ngrams.matches(answers, references, ORDERS), ngrams.totals(answers, ORDERS)])
    for row, example in enumerate(examples):
        if example.question.others:
            right = [tokens(reference) for reference in example.question.references]
            statistics[row, 1:6] = against_all(tokens(example.answer.text), right)
    values = bleu_of(statistics, effective=True).tolist()
    return [RowValue(value, tuple(row)) for value, row in zip(values, statistics.tolist(), strict=True)]


def tokenizer_of(settings: MetricSettings) -> tuple[str, tokenizers.Tokenize]:
    """The tokenizer's name in the signature, and what makes tokens of a text."""
    return ("13a", tokens_of) if settings.tokenizer in (None, "13a") else tokenizers.for_bleu(settings)


def against_all(answer: Sequence[str], references: Sequence[Sequence[str]]) -> list[int]:
    """The length of the nearest of several references, and how many n-grams of each order match any of them."""
    nearest = min(map(len, references), key=lambda length: (abs(length - len(answer)), length))
    shared = []
    for order in range(1, ORDERS + 1):
        grams = [Counter(zip(*(text[i:] for i in range(order)), strict=False)) for text in (answer, *references)]
        most: Counter[tuple[str, ...]] = Counter()
        for of_reference in grams[1:]:
            most |= of_reference
        shared.append((grams[0] & most).total())
    return [nearest, *shared]


def corpus_bleu(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corpus BLEU.

    Args:
        statistics: Sums over rows of shape (..., 10), in the order of ``score``.

    Returns:
        Corpus BLEU in [0, 100], of shape (...).
    """
    return bleu_of(statistics, effective=False)


def bleu_of(statistics: NDArray[Any], *, effective: bool) -> NDArray[np.float64]:
    """BLEU with exponential smoothing, sacrebleu's default.

    Args:
        statistics: As in ``corpus_bleu``.
        effective: Whether only those orders count for which the answer is long enough.

    Returns:
        BLEU in [0, 100], of shape (...).
    """
    answer_length, reference_length = statistics[..., 0], statistics[..., 1]
    matches, totals = statistics[..., 2:6], statistics[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore"):
        brevity = np.minimum(0.0, 1 - reference_length / answer_length)
        # the k-th order without a match counts as 1 / 2^k of one
        smoothed = np.where(matches == 0, 0.5 ** np.cumsum(matches == 0, axis=-1), matches)
        logs = np.where(totals == 0, 0.0 if effective else LOG_OF_ZERO, np.log(100 * smoothed / totals))
        mean = logs.sum(axis=-1) / (totals > 0).sum(axis=-1) if effective else logs.mean(axis=-1)
        values = np.exp(brevity + mean)
    scored = matches.any(axis=-1)
    # an identical pair comes out as 100.00000000000004
    return np.where(scored, np.minimum(values, 100.0), 0.0)


def signature(settings: MetricSettings) -> str:
    """Sacrebleu's own signature of the corpus value, and how the rows differ."""
    tok = tokenizer_of(settings)[0]
    return sign("sacrebleu", **all_of(settings), case="mixed", eff="no", tok=tok, smooth="exp", rows="eff=yes")


@cache
def blind_by(tokenizer: str | None) -> Unscorable:
    """13a makes a Chinese sentence one token: even the reference itself has no four in a row."""
    return blind_to(tokenizers.hidden_from(tokenizer), "BLEU", "its words are not separated by spaces")


def unscorable(examples: Sequence[Example], settings: MetricSettings) -> Sequence[str | None]:
    """Rows of which the tokenizer does not part the words."""
    return blind_by(settings.tokenizer)(examples, settings)


BLEU = Metric(
    name="bleu",
    title="BLEU",
    score=score,
    signature=signature,
    high=100.0,
    # Translation's one point is meant for BLEU 20 to 40, and already there human judges do not follow it (Mathur et
    # al. 2020, "Tangled up in BLEU"). Free-form answers score 1 to 5 (FiQA's references shuffled: 1.3), where a
    # whole point would call a halved score equivalent.
    margin=0.5,
    decimals=2,
    aggregate=corpus_bleu,
    unscorable=unscorable,
)
