"""Adjust p values for many metrics and adapters, so that the chance of any false verdict is at most alpha.

Every metric of every candidate is one hypothesis. They are tested together by Holm's weighted procedure, in which the
primary metric's hypotheses hold four fifths of the error rate. Under any dependence between metrics, the chance that
even one true "no difference" of the whole family is rejected is at most alpha.

Holm with weights rather than a gate (secondary metrics tested only if the primary is significant): with a gate, an
adapter that changes only a secondary metric would never be told so. The price: the primary starts at 0.8 alpha.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PRIMARY_SHARE = 0.8
"""The primary metric's share of alpha, where secondary metrics are tested too."""


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Adjust p values for testing them all (Holm, 1979; weighted: Benjamini and Hochberg, 1997).

    Args:
        p_values: In [0, 1].
        weights: Positive, one each; equal if left out.

    Returns:
        Adjusted p values in [0, 1], in the order given: rejecting those below alpha keeps the family-wise error rate.
    """
    p = np.asarray(p_values, dtype=np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(p / w, kind="stable")
    remaining = np.cumsum(w[order][::-1])[::-1]
    stepped = np.minimum(np.maximum.accumulate(p[order] / w[order] * remaining), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return [float(value) for value in adjusted]


def weights(metrics: Sequence[str], primary: str) -> list[float]:
    """Each hypothesis' share of alpha.

    Args:
        metrics: The metric of each hypothesis.
        primary: The metric that decides.

    Returns:
        Shares that sum to 1: ``PRIMARY_SHARE`` split evenly over the primary metric's hypotheses, the rest over the
        others'; evenly over all where there is only one kind.
    """
    first = sum(metric == primary for metric in metrics)
    second = len(metrics) - first
    if not first or not second:
        return [1 / len(metrics) for _ in metrics]
    return [PRIMARY_SHARE / first if metric == primary else (1 - PRIMARY_SHARE) / second for metric in metrics]
