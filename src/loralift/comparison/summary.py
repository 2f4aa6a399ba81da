"""One variant on its own: mean, median, spread and interval of each metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.contrast import is_binary
from loralift.comparison.estimate import Estimate, of_corpus, of_mean
from loralift.comparison.intervals import Method, Wilson, chosen, confidence, interval, needs_bootstrap
from loralift.comparison.pairing import Aggregate, Floats, in_order, row_values
from loralift.comparison.repeats import Clusters, Grouping
from loralift.comparison.resampling import bootstrap
from loralift.comparison.settings import Settings
from loralift.records import LARGEST, Interval, MetricInfo, MetricSummary, Score, Scores


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """One metric of one variant, before its interval.

    Attributes:
        values: Of the rows that were scored, or of their questions, shape (n,), n at least 1.
        unscored: How many rows were not.
        estimate: The aggregate.
        method: Of the interval; empty: Wilson's.
    """

    values: Floats
    unscored: int
    estimate: Estimate
    method: str


def summarise(
    scores: Sequence[Score], info: MetricInfo, aggregate: Aggregate | None = None, **settings: Any
) -> MetricSummary:
    """Summarise one metric; ``aggregate`` for a corpus metric, all else as ``summaries`` takes it."""
    return summaries(scores, {info.name: info}, {info.name: aggregate} if aggregate else {}, **settings)[info.name]


def summaries(
    scores: Sequence[Score],
    infos: Mapping[str, MetricInfo],
    aggregates: Mapping[str, Aggregate],
    *,
    clusters: Clusters | None = None,
    seed: int = 0,
    resamples: int = 10_000,
    method: Method = "auto",
) -> dict[str, MetricSummary]:
    """Summarise metrics of one variant, each over all rows that were scored.

    With ``clusters``, values are averaged and statistics summed within each question first: ``n``, mean, median,
    spread and interval are then of questions, while ``unscored`` still counts answers.

    Args:
        scores: The rows, in any order.
        infos: The metrics.
        aggregates: Of corpus metrics; the mean of rows is used without one, or where no row has statistics.
        clusters: Row id to question, where questions were answered several times.
        seed: Seed of the bootstrap, non-negative. No figure depends on what else is summarised.
        resamples: Bootstrap samples, the same for all metrics.
        method: Method of the intervals; 0/1 values always get Wilson's.

    Returns:
        Metric to its summary; None, NaN and infinite values count as unscored.

    Raises:
        ComparisonError: An id appears twice.
        UsageError: A setting is out of range.
    """
    settings = Settings(seed=seed, resamples=resamples, method=method)
    rows = in_order(scores)
    measured = {name: _measured(rows, info, aggregates.get(name), clusters, settings) for name, info in infos.items()}
    needed = {
        name: found.estimate
        for name, found in measured.items()
        if isinstance(found, _Measured) and found.method and _bootstrapped(found)
    }
    replicates = dict(zip(needed, bootstrap(list(needed.values()), seed, resamples), strict=True))
    return {
        name: replace(
            _summary(name, found, replicates.get(name)) if isinstance(found, _Measured) else _nothing(name, found),
            reasons=_counted(*rows.reasons(name)),
        )
        for name, found in measured.items()
    }


def _measured(
    rows: Scores, info: MetricInfo, aggregate: Aggregate | None, clusters: Clusters | None, settings: Settings
) -> _Measured | int:
    """One metric's numbers; how many rows were not scored, where none was."""
    every, statistics = row_values(rows, info.name, aggregate)
    kept = np.abs(every) <= LARGEST
    values, unscored = every[kept], int((~kept).sum())
    if not values.size:
        return unscored
    statistics = None if statistics is None else statistics[kept]
    if clusters is not None:
        grouping = Grouping.of(rows.ids.take(kept), clusters)
        values = grouping.mean(values)
        statistics = None if statistics is None else grouping.total(statistics)
    if statistics is not None and aggregate is not None:
        estimate = of_corpus(statistics, aggregate)
        return _Measured(values, unscored, estimate, chosen(estimate, settings.method, corpus=True))
    estimate = of_mean(values)
    wilson = is_binary(values)
    return _Measured(values, unscored, estimate, "" if wilson else chosen(estimate, settings.method, corpus=False))


def _counted(numbers: NDArray[np.uint32], reasons: Sequence[str]) -> dict[str, int]:
    """How many rows are unscored for each reason, in the order in which they first come."""
    found, firsts, counts = np.unique(numbers, return_index=True, return_counts=True)
    order = np.argsort(firsts)
    said = zip(found[order].tolist(), counts[order].tolist(), strict=True)
    return {reasons[number]: count for number, count in said if number}


def _nothing(name: str, unscored: int) -> MetricSummary:
    return MetricSummary(name, 0, unscored, None, None, None, None, None)


def _bootstrapped(found: _Measured) -> bool:
    return bool(np.isfinite(found.estimate.value)) and needs_bootstrap(found.estimate, found.method)


def _summary(name: str, found: _Measured, replicates: Floats | None) -> MetricSummary:
    values, value = found.values, found.estimate.value
    return MetricSummary(
        metric=name,
        n=values.size,
        unscored=found.unscored,
        value=value if np.isfinite(value) else None,
        mean=float(values.mean()),
        median=float(np.median(values)),
        std=float(values.std(ddof=1)) if values.size > 1 else None,
        interval=_interval(found, replicates) if found.method else _wilson(values),
    )


def _wilson(values: Floats) -> Interval | None:
    return interval(Wilson(int(values.sum()), values.size), 0.95) if values.size > 1 else None


def _interval(found: _Measured, replicates: Floats | None) -> Interval | None:
    """The 95 % interval; None for fewer than two rows, or where the value is not finite."""
    if not np.isfinite(found.estimate.value):
        return None
    known = confidence(found.estimate, found.method, replicates)
    return None if known is None else interval(known, 0.95)
