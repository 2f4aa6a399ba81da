"""Perplexity of the reference answer under the variant, teacher-forced after the prompt.

It is the one metric that never looks at the generated answer. A corpus's perplexity is that of all its tokens
(Jelinek et al. 1977), not the mean of its rows', which the shortest rows would rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loralift.metrics.base import Metric, MetricSettings, RowValue, sign
from loralift.records import Example


def score(examples: Sequence[Example], settings: MetricSettings) -> list[RowValue]:
    """Each row's exp(-log-likelihood / n), with the statistics (-log-likelihood, n); n: its tokens, or characters."""
    return [row(example, settings) for example in examples]


def row(example: Example, settings: MetricSettings) -> RowValue:
    """One row; None without a likelihood, without tokens or beyond the range of floats."""
    likelihood = example.likelihood
    if likelihood is None or likelihood.log_likelihood is None or likelihood.tokens < 1:
        return RowValue(None)
    of_text = settings.perplexity_per == "character"
    surprise, count = -likelihood.log_likelihood, len(example.question.reference) if of_text else likelihood.tokens
    try:
        return RowValue(math.exp(surprise / count), (surprise, count))
    except OverflowError:
        return RowValue(None)


def corpus_perplexity(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Perplexity of all tokens (or characters) together.

    Args:
        statistics: Sums over rows of shape (..., 2), in the order of ``score``.

    Returns:
        Perplexities of shape (...), at least 1; NaN where there are no tokens.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values: NDArray[np.float64] = np.exp(statistics[..., 0] / statistics[..., 1])
    return values


def signature(settings: MetricSettings) -> str:
    """Tokens are the base model's, so perplexities of others do not compare: it is named where it is known."""
    of = {"model": settings.perplexity_of} if settings.perplexity_of else {}
    return sign("loralift", **of, text="reference", log="natural", per=settings.perplexity_per)


PERPLEXITY = Metric(
    name="perplexity",
    title="Perplexity",
    score=score,
    signature=signature,
    low=1.0,
    high=math.inf,
    higher_is_better=False,
    # No default: 0.1 is much of a perplexity of 3 and nothing of one of 80. A run that knows its scale declares it.
    margin=None,
    decimals=2,
    aggregate=corpus_perplexity,
    of_text=False,
)

PER_CHARACTER = replace(PERPLEXITY, title="Perplexity a character", decimals=3)
"""What it is called where it is of characters; one of 2.2 is as likely as one of 27 a token of 4.2 characters."""
