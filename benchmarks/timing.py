"""One way's seconds, as measured and as reckoned for all rows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Twice the rows must take so many times as long; half as long again would be a start as long as the rows.
MOST_START = 1.3

type Texts = Mapping[str, str]
"""Each answer's text by its question's id."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a way took.

    Attributes:
        seconds: Of each round, for all rows.
        rows: How many it was measured on: all, or a few and twice as many, whose difference is what rows cost.
        measured: What the clock said, in the order of `rows`, where the seconds are extrapolated.
        identical: Answers that are the plan's loop's, and how many were compared, e.g. ``32 of 32``.
    """

    seconds: tuple[float, ...]
    rows: tuple[int, ...]
    measured: tuple[float, ...] = ()
    identical: str = ""

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.seconds)

    def plain(self) -> dict[str, Any]:
        """For the results file."""
        found: dict[str, Any] = {
            "median_seconds": round(self.median, 2),
            "seconds": [round(one, 2) for one in self.seconds],
            "rows_measured": list(self.rows),
            "extrapolated": bool(self.measured),
            "identical_to_the_plans_loop": self.identical,
        }
        if self.measured:
            found["measured_seconds"] = [round(one, 2) for one in self.measured]
        return found


def extrapolate(few: int, seconds_few: float, many: int, seconds_many: float, rows: int) -> float:
    """Seconds of all rows on the line through two measurements: a start that is paid once, and what a row costs.

    >>> extrapolate(10, 15.0, 20, 25.0, 100)
    105.0
    """
    a_row = (seconds_many - seconds_few) / (many - few)
    return seconds_few + a_row * (rows - few)


def tells(seconds_few: float, seconds_many: float) -> bool:
    """Whether two measurements show what rows cost: where the start is most of both, their difference is its noise.

    >>> tells(42.6, 79.2), tells(50.2, 55.4), tells(135.3, 128.2)
    (True, False, False)
    """
    return seconds_many > MOST_START * seconds_few


def identical(found: Mapping[str, Texts], expected: Mapping[str, Texts]) -> str:
    """How many answers are the expected ones, of those that are in both."""
    pairs = [
        (texts[key], expected[variant][key])
        for variant, texts in found.items()
        for key in texts
        if key in expected[variant]
    ]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)}"


def ratios(timings: Mapping[str, Timing], to: Sequence[str]) -> dict[str, dict[str, float]]:
    """How many times as fast each way is as each of some."""
    return {
        name: {other: round(timings[other].median / timing.median, 2) for other in to if other != name}
        for name, timing in timings.items()
    }
