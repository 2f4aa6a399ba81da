"""The primary metric question by question, a candidate beside the baseline, and which of them are ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from loralift.records import LARGEST, Comparison, MetricInfo, Report, tied


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with a value on both sides.

    Attributes:
        id: Of its row; of a question that was answered several times, its own.
        baseline: The baseline's value, the mean over its answers.
        candidate: The candidate's, the same.
        answers: Scored pairs of answers; more than one where answers were averaged.
    """

    id: str
    baseline: float
    candidate: float
    answers: int = 1


def pairs_of(report: Report, comparison: Comparison, candidate: str) -> tuple[Pair, ...]:
    """Every question with a value on both sides, in the order of the data; none for a metric of the whole corpus alone.

    Several answers to one question are averaged, as the comparison does (``loralift.comparison.repeats``).
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for row in report.rows:
        before, after = (row.values.get(side, {}).get(comparison.primary) for side in (comparison.baseline, candidate))
        # NaN is in no range; the comparison leaves the same values out.
        if before is not None and after is not None and abs(before) <= LARGEST and abs(after) <= LARGEST:
            found.setdefault(row.question_id or row.id, []).append((before, after))
    return tuple(
        Pair(question, fmean(before for before, _ in sides), fmean(after for _, after in sides), len(sides))
        for question, sides in found.items()
    )


def difference_of(baseline: float, candidate: float) -> float:
    """Candidate minus baseline; 0 where they differ by rounding only: the comparison's rule of what is a tie."""
    return 0.0 if tied(baseline, candidate) else candidate - baseline


def outcome(pair: Pair, info: MetricInfo) -> str:
    """``win``, ``tie`` or ``loss``, by the metric's direction."""
    gain = difference_of(pair.baseline, pair.candidate) * (-1 if info.higher_is_better is False else 1)
    return "win" if gain > 0 else "loss" if gain < 0 else "tie"


def unit_of(pairs: Sequence[Pair]) -> str:
    """What a pair is called: ``question`` where answers were averaged, else ``row``."""
    return "question" if any(pair.answers > 1 for pair in pairs) else "row"
