"""Choose on one half of the questions, judge on the other, and the other way round.

No question chooses the protocol under which it is judged, so choosing earns nothing. But the two halves choose for each
other: where a protocol looks good in the first half by luck, it is judged in the second, and the protocols that looked
good in the second are judged by that same lucky first half. So the errors of the two halves' means go together, and an
interval that takes the rows as independent is too narrow, most where protocols are equally good. ``widening`` says by
how much. ``docs/statistics.md`` derives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.pairing import Floats
from loralift.records import ROUNDING

CLEAR = 4.0
"""Standard errors by which a protocol must trail the best to be out of the choice. Of two equally good ones it happens
in 1 of 16,000 comparisons; and what leads by so much is chosen by either half."""

_DRAWS = 10_000
_PURPOSE = 3
"""Sets the halves apart from what else is drawn by the seed: bootstrap and permutation are 1 and 2."""


def first_half(n: int, seed: int) -> NDArray[np.bool_]:
    """Which of n questions, in the order of their sorted ids, are in the first half, n // 2 of them; shape (n,)."""
    order = np.random.Generator(np.random.SFC64([seed, _PURPOSE, n])).permutation(n)
    inside = np.zeros(n, dtype=np.bool_)
    inside[order[: n // 2]] = True
    return inside


def best(values: Floats) -> int:
    """The row of values, shape (protocols, n), with the largest mean; the earlier of two that differ by rounding."""
    means = values.mean(axis=1)
    return int(np.argmax(means >= means.max() - ROUNDING * np.abs(values).max()))


def widening(candidate: Floats, baseline: Floats) -> float:
    """Factor on the standard error of the cross-fitted mean difference, at least 1.

    The half means are taken as normal with the questions' covariance, and the best protocols as equally good: of each
    side the best one, the best two, and so on, as far as the data allow (``CLEAR``), whichever widens most.

    Args:
        candidate: Its values, the larger the better, shape (protocols it chooses among, n), n at least 2.
        baseline: The baseline's, shape (protocols, n).

    Returns:
        sqrt(1 + r), r the covariance of the two half means over their variance.
    """
    covariance = np.atleast_2d(np.cov(np.vstack([candidate, baseline])))
    first = len(candidate)
    roots, vectors = np.linalg.eigh(covariance)
    factor = vectors * np.sqrt(np.maximum(roots, 0))
    drawn = np.einsum("vk,kd->vd", factor, _normals(len(factor)))
    mine, its = drawn[:first], drawn[first:]
    spread = np.diag(covariance)
    of_pair = spread[:first, None] + spread[None, first:] - 2 * covariance[:first, first:]
    largest = 0.0
    of_its = [_Choice.of(choice, its, mine) for choice in _choices(its, baseline)]
    for choice in _choices(mine, candidate):
        ours = _Choice.of(choice, mine, its)
        for theirs in of_its:
            variance = float((_mean_of(ours.made, theirs.made) * of_pair).sum())
            if variance > ROUNDING * float(spread.max()):
                cross = float((ours.cross * theirs.cross.T).sum())
                largest = max(largest, (ours.own + theirs.own - 2 * cross) / variance)
    return float(np.sqrt(1 + largest)) if largest > 1e-6 else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """One side's choice, in every draw, among some of its protocols.

    The covariance of the halves' errors is the sum over choices s, t of F[s, t] F[t, s], F[s, t] the mean over draws
    of "s is chosen" times the value of t. Where s and t are pairs, of a candidate's and a baseline's protocol, and the
    value is the difference, that sum parts into each side's own and twice a cross term.

    Attributes:
        made: 1 where a protocol is chosen, else 0, shape (protocols, draws).
        own: The side's own share of the covariance.
        cross: Means of "s is chosen" times the other side's value of t, shape (s, t).
    """

    made: Floats
    own: float
    cross: Floats

    @classmethod
    def of(cls, made: Floats, values: Floats, others: Floats) -> _Choice:
        """From both sides' drawn values, shape (protocols, draws)."""
        found = _mean_of(made, values)
        return cls(made, float((found * found.T).sum()), _mean_of(made, others))


def _mean_of(left: Floats, right: Floats) -> Floats:
    """Means of products over the draws, shape (i, j), of (i, draws) and (j, draws); not by BLAS, whose bits vary."""
    return np.asarray(np.einsum("id,jd->ij", left, right) / left.shape[1])


def _choices(drawn: Floats, values: Floats) -> list[Floats]:
    """For k = 1, 2, …: which of the k best protocols each draw chooses, as 0 and 1, shape (protocols, draws)."""
    means, n = values.mean(axis=1), values.shape[1]
    order = np.argsort(-means, kind="stable")
    lead = values[order[0]] - values[order]
    clear = lead.mean(axis=1) > CLEAR * lead.std(axis=1, ddof=1) / np.sqrt(n) + ROUNDING * np.abs(values).max()
    tolerance = 1e-9 * float(np.abs(drawn).max())
    found = []
    for k in range(1, 1 + int((~clear).sum())):
        tied = np.sort(order[~clear][:k])
        among = drawn[tied]
        choice = tied[np.argmax(among >= among.max(axis=0) - tolerance, axis=0)]
        found.append((choice == np.arange(len(drawn))[:, None]).astype(np.float64))
    return found


@cache
def _normals(dimensions: int) -> Floats:
    """Standard normal draws, shape (dimensions, _DRAWS), each with its negative, so that every mean is 0."""
    half = np.random.Generator(np.random.SFC64([0, _PURPOSE])).standard_normal((dimensions, _DRAWS // 2))
    return np.hstack([half, -half])
