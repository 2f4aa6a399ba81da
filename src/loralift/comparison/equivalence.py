"""Is the difference too small to matter? Two one-sided tests (Schuirmann, 1987)."""

from __future__ import annotations

from dataclasses import dataclass

from loralift.comparison.intervals import Confidence, interval
from loralift.records import Interval

LEVEL = 0.05
"""Of each one-sided test; the 90 % interval lies inside the margin exactly if both reject."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of "the difference is outside +-margin".

    Attributes:
        interval: The 90 % interval of the difference.
        p_value: The larger of the two p values; None without a margin.
        holds: Whether the interval lies inside the margin and p is below 5 %. They differ only where there is no
            spread: one point lies inside any margin, however few pairs gave it.
    """

    interval: Interval
    p_value: float | None
    holds: bool


def equivalence(confidence: Confidence, margin: float | None) -> Equivalence:
    """Test whether a difference lies within +-margin.

    Args:
        confidence: What is known of the difference.
        margin: In the metric's unit, positive; None: never equivalent.

    Returns:
        The 90 % interval, and the test where there is a margin.
    """
    inner = interval(confidence, 1 - 2 * LEVEL)
    if margin is None:
        return Equivalence(inner, None, holds=False)
    p_value = max(confidence.cdf(-margin), 1 - confidence.cdf(margin))
    inside = -margin < inner.low and inner.high < margin
    return Equivalence(inner, float(p_value), holds=inside and p_value < LEVEL)
