"""BLEU (Papineni et al. 2002) as sacrebleu calculates it (Post 2018).

The rows' values are sacrebleu's sentence BLEU (effective order). The value of a corpus is not their mean: the rows'
ten sufficient statistics are summed, and ``corpus_bleu`` makes corpus values of the sums, for any number of
resamples at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.metrics.base import Metric, MetricSettings, RowValue, sign
from loralift.records import Example

LOG_OF_ZERO = -9999999999.0
"""sacrebleu's: an n-gram order that no answer is long enough for makes the corpus value 0."""


@cache
def sentence_scorer() -> Any:
    """Sacrebleu's scorer; it caches the lines that it has tokenised."""
    import sacrebleu

    return sacrebleu.BLEU(effective_order=True)


def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """Sentence BLEU and the statistics: answer length, reference length, 4 match counts, 4 n-gram totals."""
    rows = []
    for example in examples:
        result = sentence_scorer().sentence_score(example.answer.text, [example.question.reference])
        statistics = (result.sys_len, result.ref_len, *result.counts, *result.totals)
        # an identical pair comes out as 100.00000000000004
        rows.append(RowValue(min(result.score, 100.0), statistics))
    return rows


def corpus_bleu(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corpus BLEU with exponential smoothing, sacrebleu's default.

    Args:
        statistics: Sums over rows of shape (..., 10), in the order of ``score``.

    Returns:
        Corpus BLEU in [0, 100], of shape (...).
    """
    answer_length, reference_length = statistics[..., 0], statistics[..., 1]
    matches, totals = statistics[..., 2:6], statistics[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore"):
        brevity = np.minimum(0.0, 1 - reference_length / answer_length)
        # the k-th order without a match counts as 1 / 2^k of one
        smoothed = np.where(matches == 0, 0.5 ** np.cumsum(matches == 0, axis=-1), matches)
        logs = np.where(totals == 0, LOG_OF_ZERO, np.log(100 * smoothed / totals))
        values = np.exp(brevity + logs.mean(axis=-1))
    scored = matches.any(axis=-1)
    return np.where(scored, np.minimum(values, 100.0), 0.0)


def signature(settings: MetricSettings) -> str:
    """Sacrebleu's own signature of the corpus value, and how the rows differ."""
    return sign("sacrebleu", nrefs=1, case="mixed", eff="no", tok="13a", smooth="exp", rows="eff=yes")


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
)
