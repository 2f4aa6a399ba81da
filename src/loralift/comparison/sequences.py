"""What is known of a mean difference while rows come one after another, however often one looks.

A confidence sequence holds the true mean at all looks at once with its level, so whoever stops at any of them, for any
reason, is wrong no more often than that. This one is Waudby-Smith and Ramdas' hedged grid-Kelly sequence ("Estimating
means of bounded random variables by betting", JRSS B 86, 2024). Somebody bets against "the mean is at most m" with
fixed shares of his money. If that is so, his money does not grow in expectation, and by Ville's inequality it is ever
1/error times the stake with probability `error` at most. The means against which he won so much are out.

It is exact for every distribution on a known range and any number of rows: no normal approximation in the first rows,
and neither ties nor skew cost validity. The shares are fixed, so of rows that were seen the order matters only by when
one looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.pairing import Floats

SHARES = np.linspace(0.05, 0.99, 20)
"""Of the money, staked on each row. Evenly spaced as in the paper: where differences scatter little beside the metric's
range, as those of a base and its adapter do, the largest bets win. 1 itself could lose everything on one row."""

UNKNOWN, ABOVE, BELOW, INSIDE = 0, 1, -1, 2
"""Where a mean is known to lie: nowhere, above 0, below 0, inside the margin."""

HALVINGS = 60
"""Of the range in which an end is looked for: to the last digits of a float."""


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """Values in [-reach, reach] that came one after another, and when one looked.

    Attributes:
        values: Shape (n,), in the order in which they came.
        reach: The largest distance from 0 that any value could have, seen or not.
        looks: Ascending numbers of values, each from 0 to n.

    """

    values: Floats
    reach: float
    looks: tuple[int, ...]

    def ends(self, error: float) -> tuple[float, float]:
        """The ends after the last look, each of which is ever wrong with probability `error` at most.

        The best of all looks: below `low`, or above `high`, the mean was excluded at one of them. `low` lies above
        `high` only where the rows contradict that they are of one population.
        """
        return -self._highest(-self.values, error), self._highest(self.values, error)

    def p_above(self, mean: float) -> float:
        """The p value, valid at every look, of "the true mean is at most `mean`": small where it lies above."""
        return _p_value(wealth(self.values + self.reach, mean + self.reach, self.looks))

    def p_below(self, mean: float) -> float:
        """The p value, valid at every look, of "the true mean is at least `mean`"."""
        return _p_value(wealth(self.reach - self.values, self.reach - mean, self.looks))

    def _highest(self, values: Floats, error: float) -> float:
        """The smallest mean that too much was won against from above, over all looks; reach where there is none."""
        inside, outside = -self.reach, self.reach
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            if middle == outside:  # nothing was ever won: even the largest mean stands
                break
            won = wealth(self.reach - values, self.reach - middle, self.looks)
            if won.max(initial=0.0) >= -np.log(error):
                outside = middle
            else:
                inside = middle
        return outside


def sides(values: Floats, reach: float, looks: Sequence[int], margin: float | None, error: float) -> NDArray[np.int8]:
    """Where the mean is known to lie at each look.

    Whatever the mean is, the probability that any of these is ever wrong is `error` at most: what says that the mean is
    beyond 0, or inside the margin, has won no less against the mean itself.

    Args:
        values: In [-reach, reach], shape (..., n), in the order in which they came.
        reach: As of `ConfidenceSequence`.
        looks: Ascending numbers of values, each from 0 to n.
        margin: Below `reach`; None: never `INSIDE`.
        error: In (0, 1); half of it for each side of 0, all of it for each side of the margin, as the two one-sided
            tests of an ordinary equivalence.

    Returns:
        Shape (..., looks): `ABOVE`, `BELOW`, `INSIDE` the margin, or `UNKNOWN`.
    """

    def excluded(sign: int, mean: float, error: float) -> NDArray[np.bool_]:
        won = wealth(reach + sign * values, reach + sign * mean, looks)
        return np.asarray(np.maximum.accumulate(won, axis=-1) >= -np.log(error))

    above, below = excluded(1, 0.0, error / 2), excluded(-1, 0.0, error / 2)
    found = np.where(above, ABOVE, np.where(below, BELOW, UNKNOWN))
    if margin is not None:
        found = np.where(excluded(1, -margin, error) & excluded(-1, margin, error), INSIDE, found)
    return np.where(above & below, UNKNOWN, found).astype(np.int8)


def wealth(gains: Floats, mean: float, looks: Sequence[int]) -> Floats:
    """What a stake of 1 has become against "the expectation of the gains is at most `mean`".

    Args:
        gains: Values of at least 0, shape (..., n), in the order in which they came.
        mean: The expectation that is bet against, above 0.
        looks: Ascending numbers of values, each from 0 to n.

    Returns:
        Natural logarithms, shape (..., looks); they fall as `mean` rises.
    """
    won = np.full((*gains.shape[:-1], len(looks)), -np.inf)
    for share in SHARES:
        logs = np.cumsum(np.log1p(share * (gains / mean - 1)), axis=-1)
        before = np.concatenate([np.zeros((*gains.shape[:-1], 1)), logs], axis=-1)
        won = np.logaddexp(won, before[..., list(looks)])
    return np.asarray(won - np.log(SHARES.size))


def _p_value(won: Floats) -> float:
    return float(min(1.0, np.exp(-won.max(initial=0.0))))
