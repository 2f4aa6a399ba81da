"""What a difference is made of: the pairs where both answers are sound, and those where one side, or both, failed.

A failed answer (empty, a loop, a copy …) scores low whatever it would have said. So an adapter that only stops its base
from failing gains, and one that is worse wherever both answer at all can still be better on the whole. The four kinds
of pairs part the difference exactly: each contributes the sum of its pairs' differences over the number of all pairs.
This is arithmetic, not cause: who did not fail on a row also chose what to say there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.analysis import Case, analyse
from loralift.comparison.pairing import Pairs, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.records import BASE, PAIR_KINDS, Contribution, MetricInfo, Score, Scores


def contributions(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    info: MetricInfo,
    flags: Iterable[str],
    settings: Settings,
    *,
    baseline_name: str = BASE,
    clusters: Clusters | None = None,
) -> tuple[Contribution, ...]:
    """Part each candidate's difference into the contributions of the four kinds of pairs.

    Args:
        baseline: The baseline's rows, in any order.
        candidates: Variant to rows.
        info: The metric, as a rule the primary one. A corpus metric has no difference of single pairs, so none is
            parted.
        flags: Names of metrics that are 1 where an answer failed; an answer of which none is 1 is sound.
        settings: How to compare, as a rule the comparison's own.
        baseline_name: The baseline variant.
        clusters: Row id to question, where questions were answered several times.

    Returns:
        Four a candidate, in the order of PAIR_KINDS, with the difference of the comparison as their sum; none for a
        corpus metric, or where no flag was computed.

    Raises:
        ComparisonError: Two sides share no id, or an id appears twice on one side.
    """
    baseline = Scores.of(baseline)
    known = [name for name in flags if name in baseline.metrics]
    if info.corpus or not known:
        return ()
    describing = replace(info, higher_is_better=None, margin=None)
    places, cases = [], []
    for candidate, scores in candidates.items():
        pairs = pair(baseline, scores, names=(baseline_name, candidate))
        before, after = (_unsound(side, known) for side in (pairs.baseline, pairs.candidate))
        masks = (~before & ~after, before & ~after, ~before & after, before & after)
        for kind, here in zip(PAIR_KINDS, masks, strict=True):
            rows = sample(_only(pairs, here, info.name), describing, None, clusters)
            cases.append(Case(baseline_name, candidate, describing, rows))
            places.append((candidate, kind, _scored(pairs, here, info.name)))
    found = zip(places, analyse(cases, settings), strict=True)
    return tuple(
        # of no row there is nothing to be uncertain of
        Contribution(candidate, kind, rows, rows / row.answers, row.difference, row.interval if rows else None)
        for (candidate, kind, rows), row in found
        if row.difference is not None
    )


def _unsound(rows: Scores, flags: Sequence[str]) -> NDArray[np.bool_]:
    """Which answers failed."""
    return np.any([rows.values(name) == 1 for name in flags], axis=0)


def _only(pairs: Pairs, here: NDArray[np.bool_], metric: str) -> Pairs:
    """All pairs, with values of 0 on both sides where a pair is of another kind: it then adds nothing to the mean."""
    sides = (side.values(metric) for side in (pairs.baseline, pairs.candidate))
    values = (np.where(here | np.isnan(of), of, 0.0) for of in sides)
    baseline, candidate = (Scores.of_values(pairs.ids, {metric: of}) for of in values)
    return replace(pairs, baseline=baseline, candidate=candidate)


def _scored(pairs: Pairs, here: NDArray[np.bool_], metric: str) -> int:
    """How many pairs of a kind have a value on both sides."""
    before, after = (side.values(metric) for side in (pairs.baseline, pairs.candidate))
    return int((here & ~np.isnan(before) & ~np.isnan(after)).sum())
