"""How large is the difference, and how many rows carry it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loralift.comparison.contrast import Contrast, row_differences
from loralift.comparison.intervals import BCA_FROM
from loralift.comparison.pairing import Sample

FEW_DIFFERING = 10
LEVERAGE = 0.4


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Pairs by who wins them.

    Attributes:
        wins: Pairs the candidate wins.
        ties: Pairs with equal values.
        losses: Pairs the candidate loses.
    """

    wins: int
    ties: int
    losses: int

    @property
    def superiority(self) -> float | None:
        """Share of pairs the candidate wins, ties counted half (Grissom and Kim, 2012); None without pairs."""
        n = self.wins + self.ties + self.losses
        return (self.wins + self.ties / 2) / n if n else None


def outcomes(sample: Sample, higher_is_better: bool | None) -> Outcomes:
    """Count wins, ties and losses by the metric's direction; by value where it has none."""
    differences = row_differences(sample)
    if higher_is_better is False:
        differences = -differences
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Outcomes(wins, differences.size - wins - losses, losses)


def cohens_dz(contrast: Contrast) -> float | None:
    """Mean difference over the standard deviation of the differences (Cohen, 1988); None without spread.

    For a corpus statistic, the jackknife pseudo-values stand for the row differences. The sign is the difference's.
    """
    return contrast.difference / deviation if (deviation := contrast.estimate.deviation) > 0 else None


def shape_warnings(contrast: Contrast, ids: Sequence[str]) -> list[str]:
    """What in the differences makes an interval doubtful, one sentence each.

    Args:
        contrast: The difference on n pairs.
        ids: The pairs' ids.

    Returns:
        Sentences about no spread, few rows that differ, one row that outweighs the others, or skew: beyond n = 25 g^2,
        for a skewness g, a t interval of nominal 95 % stays above 94 % (Cochran, 1977, sect. 2.15).
    """
    n, values = contrast.n, contrast.estimate.pseudo_values
    if n < 2:
        return []
    if contrast.estimate.deviation == 0:
        alike = "no pair differs" if contrast.difference == 0 else "every pair differs by the same amount"
        return [f"Of {n} pairs {alike}, so there is no spread to judge a difference by."]
    if contrast.binary:
        return []
    found = few_differing(int(contrast.differing.sum()), n)
    squares = (values - values.mean()) ** 2
    heaviest, share = int(squares.argmax()), float(squares.max() / squares.sum())
    skewness = float(((values - values.mean()) ** 3).mean() / squares.mean() ** 1.5)
    if n >= FEW_DIFFERING and share > LEVERAGE:
        found.append(f"Heavy tail: row {ids[heaviest]} alone makes {share:.0%} of the variance of the differences.")
    elif n < min(25 * skewness**2, BCA_FROM):
        found.append(f"The differences are skewed ({skewness:+.1f}) for {n} pairs: the interval may miss more often.")
    return found


def few_differing(differing: int, n: int) -> list[str]:
    """A sentence where few of n pairs differ."""
    if differing >= FEW_DIFFERING:
        return []
    return [f"Only {differing} of {n} pairs differ, so the interval is approximate."]
