"""Which of K adapters is the best, how good is it, and how sure is that?

Whoever takes the best-looking of K and reports its difference reports luck too: of eight adapters that are all as good
as the base, the best-looking one looks better. So the choice is cross-fitted (``crossfit``): the best on one half of
the questions is judged on the other. And "the best" is a set: the adapters than which no other is surely better.
``docs/statistics.md`` derives both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from loralift.comparison.analysis import analyse
from loralift.comparison.best import complete, described
from loralift.comparison.crossed import cross
from loralift.comparison.crossfit import best
from loralift.comparison.pairing import Floats
from loralift.comparison.repeats import Clusters
from loralift.comparison.resampling import swapped_sums
from loralift.comparison.settings import Settings
from loralift.errors import UsageError, wrong_argument
from loralift.records import BASE, ROUNDING, BestOf, MetricInfo, Score

CHOSEN = "the best of {}"
"""What the cross-fitted row calls its candidate."""


def best_of(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    info: MetricInfo,
    settings: Settings,
    *,
    clusters: Clusters | None = None,
    baseline_name: str = BASE,
) -> BestOf | None:
    """Find the best of several candidates, and judge it on rows that did not choose it.

    Args:
        baseline: Its rows.
        candidates: Name to rows, two or more. A row without a value under one of them is left out under all.
        info: The metric, one with a direction.
        settings: How to compare; the claim on the chosen one is a family of its own.
        clusters: Row id to question, where questions were answered several times.
        baseline_name: The baseline variant.

    Returns:
        None for a corpus metric, which has no value of single rows, and for fewer than four questions.

    Raises:
        ComparisonError: Two sides share no id, or an id appears twice.
        UsageError: The metric has no direction.
    """
    if info.higher_is_better is None:
        raise UsageError(wrong_argument("info", "a metric with a direction", info.name))
    if info.corpus:
        return None
    name = CHOSEN.format(len(candidates))
    rows = complete({one: {name: scores} for one, scores in candidates.items()}, name, info.name, candidates)
    crossed = cross("at its best", (baseline_name, {baseline_name: baseline}), (name, rows), info, settings, clusters)
    if crossed.sides is None:
        return None
    mine, its = crossed.sides
    case = crossed.case(mine, its)
    row = described(analyse([case], settings)[0], case)
    p_values = dict(zip(candidates, not_the_best(mine.values, settings), strict=True))
    return BestOf(
        among=tuple(candidates),
        leader=tuple(candidates)[best(mine.values)],
        chosen=mine.names,
        row=row,
        widening=case.sample.widening,
        p_values=p_values,
        contenders=tuple(one for one, p in p_values.items() if p > settings.alpha),
    )


def not_the_best(values: Floats, settings: Settings) -> list[float]:
    """For each candidate the p value of "no other is better than it".

    The statistic is the largest, over the others, of the mean difference in units of its root mean square; its
    distribution is that under random signs of the rows' differences, one sign a row for all candidates. So it is exact
    where those are symmetric, takes account of how alike the candidates are, and needs no correction for the number of
    others. Nor for that of candidates: the best one is left out with probability alpha, whatever becomes of the rest.

    Args:
        values: The larger the better, shape (candidates, n).
        settings: Seed and number of signs.
    """
    total = values.sum(axis=1)
    signed = total - 2 * swapped_sums(values.T, settings.seed, settings.resamples)
    floor = ROUNDING * float(np.abs(values).max()) * np.sqrt(values.shape[1])
    found = []
    for own, mine in enumerate(values):
        norm = np.sqrt(((values - mine) ** 2).sum(axis=1))
        others = norm > floor
        if not others.any():  # all are equal to it
            found.append(1.0)
            continue
        seen = float(((total - total[own])[others] / norm[others]).max())
        drawn = ((signed - signed[:, own, None])[:, others] / norm[others]).max(axis=1)
        found.append((1 + int((drawn >= seen - 1e-9).sum())) / (1 + len(drawn)))
    return found
