"""The primary metric question by question, a candidate beside the baseline, and which of them are ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from loralift.records import LARGEST, Comparison, Ids, MetricInfo, Report, tied
from loralift.reporting.failures import tallied

if TYPE_CHECKING:
    from loralift.reporting.tally import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The questions with a value on both sides, n of them, in the order of the data.

    Attributes:
        ids: Of its row; of a question that was answered several times, its own.
        baseline: The baseline's values, the means over its answers, shape (n,).
        candidate: The candidate's, the same.
        averaged: Whether any question has more than one scored pair of answers.
    """

    ids: Ids
    baseline: Floats
    candidate: Floats
    averaged: bool = False

    @property
    def unit(self) -> str:
        """What a pair is called: ``question`` where answers were averaged, else ``row``."""
        return "question" if self.averaged else "row"

    def __len__(self) -> int:
        """How many there are."""
        return len(self.ids)

    def take(self, places: Sequence[int]) -> Pairs:
        """Some of them."""
        import numpy as np

        at = np.array(places, dtype=np.int64)
        return replace(self, ids=self.ids.take(at), baseline=self.baseline[at], candidate=self.candidate[at])

    def outcomes(self, info: MetricInfo) -> list[str]:
        """``win``, ``tie`` or ``loss`` of each, by the metric's direction and the comparison's rule of a tie."""
        import numpy as np

        gains = np.where(tied(self.baseline, self.candidate), 0.0, self.candidate - self.baseline)
        gains = -gains if info.higher_is_better is False else gains
        return ["win" if gain > 0 else "loss" if gain < 0 else "tie" for gain in gains.tolist()]


def pairs_of(report: Report, comparison: Comparison, candidate: str) -> Pairs:
    """Every question with a value on both sides, in the order of the data; none for a metric of the whole corpus alone.

    Several answers to one question are averaged, as the comparison does (``loralift.comparison.repeats``).
    """
    import numpy as np

    tally = tallied(report)
    before, after = tally.primary[comparison.baseline], tally.primary[candidate]
    # NaN is in no range; the comparison leaves the same values out.
    kept = (np.abs(before) <= LARGEST) & (np.abs(after) <= LARGEST)
    if tally.questions is None:
        return Pairs(tally.ids.take(kept), before[kept], after[kept])
    found: dict[str, list[tuple[float, float]]] = {}
    values = zip(before[kept].tolist(), after[kept].tolist(), strict=True)
    for question, sides in zip(tally.questions.take(kept), values, strict=True):
        found.setdefault(question, []).append(sides)
    means = [[fmean(of) for of in zip(*sides, strict=True)] for sides in found.values()]
    of_sides = np.array(means, dtype=np.float64).reshape(-1, 2)
    averaged = any(len(sides) > 1 for sides in found.values())
    return Pairs(Ids.of(found), of_sides[:, 0], of_sides[:, 1], averaged)


def difference_of(baseline: float, candidate: float) -> float:
    """Candidate minus baseline; 0 where they differ by rounding only: the comparison's rule of what is a tie."""
    return 0.0 if tied(baseline, candidate) else candidate - baseline
