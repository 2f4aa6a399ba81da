"""The primary metric row by row, a candidate beside the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from loralift.records import Comparison, MetricInfo, Report


@dataclass(frozen=True, slots=True)
class Pair:
    """One row with a value on both sides."""

    id: str
    baseline: float
    candidate: float


def pairs_of(report: Report, comparison: Comparison, candidate: str) -> tuple[Pair, ...]:
    """Every row with a value on both sides, in the order of the data; none for a metric of the whole corpus alone."""
    pairs = []
    for row in report.rows:
        sides = [row.values.get(side, {}).get(comparison.primary) for side in (comparison.baseline, candidate)]
        if sides[0] is not None and sides[1] is not None:
            pairs.append(Pair(row.id, sides[0], sides[1]))
    return tuple(pairs)


def outcome(pair: Pair, info: MetricInfo) -> str:
    """``win``, ``tie`` or ``loss``, by the metric's direction."""
    gain = (pair.candidate - pair.baseline) * (-1 if info.higher_is_better is False else 1)
    return "win" if gain > 0 else "loss" if gain < 0 else "tie"
