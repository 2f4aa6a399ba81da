"""A value computed from rows (a mean, a corpus statistic, or a difference of two), for bootstraps and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loralift.comparison.pairing import Aggregate, Floats
from loralift.records import ROUNDING

BLOCK = 1 << 16
"""Rows whose aggregates are computed at a time: what an aggregate needs meanwhile is several times as large."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value from n rows, and how to compute it for a resample of the rows.

    Attributes:
        value: The value itself.
        pseudo_values: Shape (n,): the rows of a mean; Tukey's jackknife pseudo-values of a corpus statistic. Their
            standard deviation over root n is the standard error of ``value``.
        columns: Gives what a bootstrap sums with the resample's counts as weights, shape (n, s).
        of_sums: Values, shape (B,), of resamples whose ``columns()`` sum to shape (B, s).
    """

    value: float
    pseudo_values: Floats
    columns: Callable[[], Floats]
    of_sums: Callable[[Floats], Floats]

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.pseudo_values.size)

    @property
    def deviation(self) -> float:
        """Sample standard deviation of the pseudo-values; 0 for fewer than two, and where it is only rounding."""
        if self.n < 2:
            return 0.0
        deviation = float(self.pseudo_values.std(ddof=1))
        return deviation if deviation > ROUNDING * float(np.abs(self.pseudo_values).max()) else 0.0

    @property
    def standard_error(self) -> float:
        """Standard error of ``value``."""
        return float(self.deviation / np.sqrt(self.n))


def of_mean(values: Floats) -> Estimate:
    """The mean of rows, shape (n,), n at least 1."""
    mean, n = float(values.mean()), values.size
    return Estimate(mean, values, lambda: (values - mean)[:, None], lambda sums: np.asarray(mean + sums[:, 0] / n))


def of_corpus(statistics: Floats, aggregate: Aggregate) -> Estimate:
    """A corpus statistic of rows' sufficient statistics, shape (n, k), n at least 1."""
    whole = float(quietly(aggregate, statistics.sum(axis=0)))
    pseudo = jackknife(statistics, aggregate)
    return Estimate(whole, pseudo, lambda: statistics, lambda sums: quietly(aggregate, sums))


def of_corpus_difference(baseline: Floats, candidate: Floats, aggregate: Aggregate) -> Estimate:
    """Candidate minus baseline on a corpus statistic; both of shape (n, k)."""
    n, k = baseline.shape
    # each column in one piece, as a bootstrap sums them
    columns = np.empty((n, 2 * k), order="F")
    columns[:, :k], columns[:, k:] = baseline, candidate

    def of_sums(sums: Floats) -> Floats:
        return np.asarray(quietly(aggregate, sums[..., k:]) - quietly(aggregate, sums[..., :k]))

    pseudo = jackknife(candidate, aggregate) - jackknife(baseline, aggregate)
    totals = np.concatenate([baseline.sum(axis=0), candidate.sum(axis=0)])
    return Estimate(float(of_sums(totals)), pseudo, lambda: columns, of_sums)


def jackknife(statistics: Floats, aggregate: Aggregate) -> Floats:
    """Tukey's (1958) pseudo-values n T - (n - 1) T_(-i) of a corpus statistic T.

    Args:
        statistics: Row statistics, shape (n, k).
        aggregate: Sums to corpus value.

    Returns:
        Shape (n,); a row whose removal leaves nothing to aggregate counts as the whole.
    """
    total, n = statistics.sum(axis=0), len(statistics)
    whole, without = quietly(aggregate, total), np.empty(n)
    for block in (slice(first, first + BLOCK) for first in range(0, n, BLOCK)):
        without[block] = quietly(aggregate, total - statistics[block])
    without = np.where(np.isfinite(without), without, whole)
    return np.asarray(n * whole - (n - 1) * without)


def quietly(aggregate: Aggregate, sums: Floats) -> Floats:
    """Corpus values, NaN or infinite without a warning where there is nothing to divide by."""
    with np.errstate(all="ignore"):
        values = np.asarray(aggregate(sums), dtype=np.float64)
    return np.where(np.isinf(values), np.nan, values)
