"""Is the candidate better than the baseline? Pure functions on numbers.

::

    Score --pairing--> Sample --contrast--> Contrast --analysis--> MetricComparison --family, verdict--> Comparison
                                               |
                 resampling, intervals, significance, equivalence, power, effects

``docs/statistics.md`` says what each figure is, where it comes from, and how well it holds.
"""

from __future__ import annotations

from loralift.comparison.comparing import compare
from loralift.comparison.family import holm
from loralift.comparison.pairing import Pairs, pair
from loralift.comparison.power import minimum_detectable_effect, power, rows_needed
from loralift.comparison.ranking import Place, Ranking, rank
from loralift.comparison.summary import summarise

__all__ = [
    "Pairs",
    "Place",
    "Ranking",
    "compare",
    "holm",
    "minimum_detectable_effect",
    "pair",
    "power",
    "rank",
    "rows_needed",
    "summarise",
]
