"""The equivalence margins of a comparison: what was declared, else the metric's own, never much of the base's value.

A metric's own margin is a number on its scale, made for values in the middle of it. Where the base's value is small,
such a number holds differences that everybody would call large: BLEU 0.66 -> 0.48 lies inside ±0.5. So a margin that
nobody declared is at most a twentieth of the base's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from loralift.comparison.estimate import quietly
from loralift.comparison.pairing import Aggregate, row_values
from loralift.comparison.settings import Settings
from loralift.records import LARGEST, MetricInfo, Score, Scores

MOST_OF_VALUE = 0.05
"""Largest share of the base's value that a margin may be which was not declared."""


def with_margins(
    settings: Settings,
    baseline: Sequence[Score],
    infos: Mapping[str, MetricInfo],
    aggregates: Mapping[str, Aggregate],
) -> Settings:
    """The settings with a margin for every metric, for the comparison and for all further ones of the same run.

    Args:
        settings: As they were given; if they have such margins already, they stay as they are.
        baseline: The baseline's rows, all of them: one margin holds for all candidates, slices and further comparisons.
        infos: The metrics.
        aggregates: For corpus metrics, summed statistics to value.
    """
    if settings.own_margins:
        return settings
    baseline, own = Scores.of(baseline), dict[str, float | None]()
    for name, info in infos.items():
        if info.margin is not None and name not in settings.margins:
            most = MOST_OF_VALUE * abs(_value(baseline, name, aggregates.get(name)))
            own[name] = min(info.margin, most) if most > 0 else None  # of nothing, nothing is a small part
    return replace(settings, own_margins=own)


def _value(baseline: Scores, name: str, aggregate: Aggregate | None) -> float:
    """The baseline's value over its scored rows; 0 where there is none."""
    values, statistics = row_values(baseline, name, aggregate)
    scored = np.abs(values) <= LARGEST  # False for NaN
    if not scored.any():
        return 0.0
    if statistics is None or aggregate is None:
        return float(values[scored].mean())
    whole = float(quietly(aggregate, statistics[scored].sum(axis=0)))
    return whole if np.isfinite(whole) else 0.0
