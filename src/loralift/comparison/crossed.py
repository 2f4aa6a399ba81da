"""Two variants' values, each half of the questions under the protocols that the other half chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.analysis import Case
from loralift.comparison.crossfit import best, first_half, widening
from loralift.comparison.pairing import Floats, Sample, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.records import MetricInfo, Score

FEWEST = 4
"""Questions below which nothing is chosen: from halves of one, there is no spread to judge a choice by."""

Asked = Literal["as trained", "at its best"]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One variant.

    Attributes:
        protocols: Those it chooses among.
        values: Under each, the larger the better, shape (protocols, n).
        chosen: By number, the protocol under which each half is judged; the other half chose it.
        judged: Each question's value under it, shape (n,).
    """

    protocols: tuple[str, ...]
    values: Floats
    chosen: tuple[int, int]
    judged: Floats

    @classmethod
    def of(cls, protocols: Iterable[str], values: Floats, half: NDArray[np.bool_]) -> Side:
        """Let each half choose for the other."""
        first, second = best(values[:, ~half]), best(values[:, half])
        return cls(tuple(protocols), values, (first, second), np.where(half, values[first], values[second]))

    @property
    def names(self) -> tuple[str, str]:
        """The protocols chosen."""
        return self.protocols[self.chosen[0]], self.protocols[self.chosen[1]]

    def alone(self) -> list[Side]:
        """The side under each of its protocols, as if there were no other."""
        parts = zip(self.protocols, self.values, strict=True)
        return [Side((name,), values[None], (0, 0), values) for name, values in parts]


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """One claim on one candidate before it is judged.

    Attributes:
        asked: Which claim.
        plain: The case with the values under each side's first protocol, for names, counts and what was dropped.
        sides: Candidate and baseline; None for too few questions.
    """

    asked: Asked
    plain: Case
    sides: tuple[Side, Side] | None

    def case(self, candidate: Side, baseline: Side) -> Case:
        """To be analysed: the two as they were judged, widened for what they chose among."""
        sign = 1.0 if self.plain.info.higher_is_better else -1.0
        numbers = replace(
            self.plain.sample,
            baseline=sign * baseline.judged,
            candidate=sign * candidate.judged,
            widening=widening(candidate.values, baseline.values),
        )
        return replace(self.plain, sample=numbers)


def cross(
    asked: Asked,
    baseline: tuple[str, Mapping[str, Sequence[Score]]],
    candidate: tuple[str, Mapping[str, Sequence[Score]]],
    info: MetricInfo,
    settings: Settings,
    clusters: Clusters | None,
) -> Crossed:
    """Halve the questions and choose.

    Args:
        asked: Which claim.
        baseline: Its name, and its rows by protocol; a row has a value under all of them or under none.
        candidate: Likewise.
        info: The metric.
        settings: How to compare.
        clusters: Row id to question, where questions were answered several times.
    """
    names, (its, mine) = (baseline[0], candidate[0]), (baseline[1], candidate[1])
    first_of_its, first_of_mine = next(iter(its.values())), next(iter(mine.values()))
    left = [_sample(rows, first_of_mine, names, info, clusters) for rows in its.values()]
    right = [_sample(first_of_its, rows, names, info, clusters) for rows in mine.values()]
    plain = Case(*names, info, left[0], settings.margin(info))
    n = len(left[0].ids)
    if n < FEWEST:
        return Crossed(asked, plain, None)
    sign, half = 1.0 if info.higher_is_better else -1.0, first_half(n, settings.seed)
    base = Side.of(its, sign * np.stack([found.baseline for found in left]), half)
    adapter = Side.of(mine, sign * np.stack([found.candidate for found in right]), half)
    return Crossed(asked, plain, (adapter, base))


def _sample(
    baseline: Sequence[Score],
    candidate: Sequence[Score],
    names: tuple[str, str],
    info: MetricInfo,
    clusters: Clusters | None,
) -> Sample:
    return sample(pair(baseline, candidate, names=names), info, None, clusters)
