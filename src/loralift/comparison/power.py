"""What a data set of this size could find: power of the paired, two-sided t test.

The permutation test and the exact t test have the same power to first order; ``benchmarks/verdicts.py`` measures how
close ours comes.
"""

from __future__ import annotations

from math import ceil, sqrt

POWER = 0.80
"""The conventional power (Cohen, 1988)."""

MOST_ROWS = 10**9

NORMAL_FROM = 10_000
"""Pairs above which the noncentral t is normal to four digits."""


def power(effect: float, deviation: float, n: int, alpha: float = 0.05) -> float:
    """Probability that a true difference is found.

    Args:
        effect: True mean difference, in the metric's unit.
        deviation: Standard deviation of the row differences, positive, same unit.
        n: Pairs, at least 2.
        alpha: Two-sided level.

    Returns:
        In [alpha, 1]: from the noncentral t distribution with n - 1 degrees of freedom.
    """
    from scipy.special import nctdtr, ndtr, stdtrit

    freedom, shift = n - 1, abs(effect) / deviation * sqrt(n)
    critical = float(stdtrit(freedom, 1 - alpha / 2))
    if n > NORMAL_FROM:
        return float(ndtr(shift - critical) + ndtr(-shift - critical))
    wrong_side = float(nctdtr(freedom, shift, -critical)) if shift < 8 else 0.0
    return float(1 - nctdtr(freedom, shift, critical)) + wrong_side


def minimum_detectable_effect(deviation: float, n: int, alpha: float = 0.05, target: float = POWER) -> float | None:
    """The smallest true difference that n pairs find with the target power.

    Args:
        deviation: Standard deviation of the row differences, in the metric's unit.
        n: Pairs.
        alpha: Two-sided level, before any adjustment for the family.
        target: Power in (alpha, 1).

    Returns:
        In the metric's unit; None for fewer than two pairs or without spread.
    """
    if n < 2 or deviation <= 0:
        return None
    low, high = 0.0, deviation
    while power(high, deviation, n, alpha) < target:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, deviation, n, alpha) < target else (low, middle)
    return high


def rows_needed(effect: float, deviation: float, alpha: float = 0.05, target: float = POWER) -> int | None:
    """The fewest pairs that find a true difference with the target power.

    Args:
        effect: True mean difference, in the metric's unit.
        deviation: Standard deviation of the row differences, same unit.
        alpha: Two-sided level, before any adjustment for the family.
        target: Power in (alpha, 1).

    Returns:
        At least 2; None without an effect, without spread, or beyond a thousand million.
    """
    if effect == 0 or deviation <= 0:
        return None
    high = 2
    while power(effect, deviation, high, alpha) < target:
        high *= 2
        if high > MOST_ROWS:
            return None
    low = max(2, ceil(high / 2))
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if power(effect, deviation, middle, alpha) < target else (low, middle)
    return high
