"""The verdict, one word, from a comparison's figures.

``equivalent``: the 90 % interval lies inside the declared margin.
``better``, ``worse``: otherwise, the adjusted p is below alpha and the 95 % interval excludes 0 on that side.
``inconclusive``: otherwise.

A margin says which differences do not matter, so a significant difference inside it is ``equivalent``: with 100,000
rows every difference is significant.
"""

from __future__ import annotations

from loralift.records import MetricComparison, Verdict


def decide(
    row: MetricComparison, alpha: float, higher_is_better: bool, *, equivalent: bool, at_floor: bool = False
) -> tuple[Verdict, list[str]]:
    """The verdict on one metric of one candidate.

    Args:
        row: The figures, ``p_adjusted`` included.
        alpha: Family-wise error rate.
        higher_is_better: The metric's direction.
        equivalent: Whether the equivalence test holds.
        at_floor: Whether more samples could give a smaller p.

    Returns:
        The verdict, and a sentence for each thing that a reader could misunderstand.
    """
    significant = row.p_adjusted is not None and row.p_adjusted < alpha
    if equivalent:
        tiny = f"The difference is significant (adjusted p = {row.p_adjusted:.2g}) but inside the margin."
        return "equivalent", [tiny] if significant else []
    if row.interval is None or row.p_adjusted is None or row.p_value is None:
        return "inconclusive", []
    side = _side(row.interval.low, row.interval.high)
    if significant and side:
        return ("better" if (side > 0) == higher_is_better else "worse"), []
    if significant:
        return "inconclusive", ["The test finds a difference, but the 95 % interval holds 0: taken as undecided."]
    if at_floor and side:
        floor = f"No random relabelling reached this difference (p = {row.p_value:.2g}): more resamples may decide."
        return "inconclusive", [floor]
    return "inconclusive", []


def _side(low: float, high: float) -> int:
    """1 where an interval lies above 0, -1 below, 0 where it holds 0."""
    return (low > 0) - (high < 0)
