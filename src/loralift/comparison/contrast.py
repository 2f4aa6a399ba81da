"""The difference of two variants on one metric, in a form that all tests and intervals use.

A mean of rows and a corpus statistic (BLEU, perplexity) differ only in how sums over rows become a value. So one
bootstrap and one permutation test serve both: a resample or a relabelling is a weighting of rows, and its value is
computed from weighted sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.estimate import BLOCK, Estimate, of_corpus_difference, of_mean, quietly
from loralift.comparison.pairing import Floats, Sample
from loralift.records import tied


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """What one metric says about candidate minus baseline on n pairs.

    Attributes:
        baseline_value: Aggregate of the baseline.
        candidate_value: Aggregate of the candidate.
        estimate: Of the difference.
        swapped: What is summed over the rows that a permutation swaps, shape (n, k): candidate minus baseline.
        of_swaps: Differences, shape (B,), after swaps whose ``swapped`` sum to shape (B, k).
        binary: Whether every value is 0 or 1 and the aggregate is their mean.
        corpus: Whether the aggregate is a corpus statistic.
    """

    baseline_value: float
    candidate_value: float
    estimate: Estimate
    swapped: Floats
    of_swaps: Callable[[Floats], Floats]
    binary: bool = False
    corpus: bool = False

    @property
    def n(self) -> int:
        """Pairs."""
        return self.estimate.n

    @property
    def difference(self) -> float:
        """candidate_value - baseline_value."""
        return self.estimate.value

    @property
    def differing(self) -> NDArray[np.bool_]:
        """Which pairs a swap would change, shape (n,)."""
        return np.asarray((self.swapped != 0).any(axis=1))

    @property
    def discordant(self) -> tuple[int, int]:
        """For 0/1 values: number of pairs where only the candidate is 1, and where only the baseline is."""
        return int((self.swapped > 0).sum()), int((self.swapped < 0).sum())


def contrast(sample: Sample) -> Contrast | None:
    """The contrast of a sample, or None where nothing was scored or the corpus value is not finite.

    Args:
        sample: One metric on n pairs.

    Returns:
        The contrast.
    """
    if not len(sample.ids):
        return None
    return _of_means(sample) if sample.aggregate is None else _of_corpus(sample)


def row_differences(sample: Sample) -> Floats:
    """Candidate minus baseline, shape (n,), with differences that are only rounding set to 0."""
    return np.where(tied(sample.baseline, sample.candidate), 0.0, sample.candidate - sample.baseline)


def is_binary(values: Floats) -> bool:
    """Whether every value is 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def _of_means(sample: Sample) -> Contrast:
    differences = row_differences(sample)
    if widened := sample.widening > 1:
        differences = differences.mean() + sample.widening * (differences - differences.mean())
    total, n = float(differences.sum()), differences.size
    return Contrast(
        baseline_value=float(sample.baseline.mean()),
        candidate_value=float(sample.candidate.mean()),
        estimate=of_mean(differences),
        swapped=differences[:, None],
        of_swaps=lambda sums: np.asarray((total - 2 * sums[:, 0]) / n),
        binary=not widened and is_binary(sample.baseline) and is_binary(sample.candidate),
    )


def _of_corpus(sample: Sample) -> Contrast | None:
    left, right, aggregate = sample.baseline_statistics, sample.candidate_statistics, sample.aggregate
    assert left is not None
    assert right is not None
    assert aggregate is not None
    # differences that are only rounding, e.g. of a log-likelihood summed in another order, count as ties
    right = right.copy()
    for block in (slice(first, first + BLOCK) for first in range(0, len(right), BLOCK)):
        right[block] = np.where(tied(left[block], right[block]), left[block], right[block])
    left_total, right_total = left.sum(axis=0), right.sum(axis=0)
    baseline, candidate = float(quietly(aggregate, left_total)), float(quietly(aggregate, right_total))
    if not (np.isfinite(baseline) and np.isfinite(candidate)):
        return None

    def of_swaps(sums: Floats) -> Floats:
        return np.asarray(quietly(aggregate, right_total - sums) - quietly(aggregate, left_total + sums))

    return Contrast(
        baseline_value=baseline,
        candidate_value=candidate,
        estimate=of_corpus_difference(left, right, aggregate),
        swapped=np.subtract(right, left, out=right),  # which nobody needs any more
        of_swaps=of_swaps,
        corpus=True,
    )
