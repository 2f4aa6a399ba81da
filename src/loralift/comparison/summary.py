"""One variant on its own: mean, median, spread and interval of each metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loralift.comparison.analysis import Settings
from loralift.comparison.contrast import is_binary
from loralift.comparison.estimate import Estimate, of_corpus, of_mean
from loralift.comparison.intervals import Method, Wilson, chosen, confidence, interval, needs_bootstrap
from loralift.comparison.pairing import Aggregate, Floats, row_values
from loralift.comparison.repeats import Clusters, Grouping
from loralift.comparison.resampling import bootstrap
from loralift.records import LARGEST, Interval, MetricInfo, MetricSummary, Score


def summarise(
    scores: Sequence[Score],
    info: MetricInfo,
    aggregate: Aggregate | None = None,
    *,
    clusters: Clusters | None = None,
    seed: int = 0,
    resamples: int = 10_000,
    method: Method = "auto",
) -> MetricSummary:
    """Summarise one metric of one variant over all rows that were scored.

    With ``clusters``, values are averaged and statistics summed within each question first: ``n``, mean, median,
    spread and interval are then of questions, while ``unscored`` still counts answers.

    Args:
        scores: The rows, in any order.
        info: The metric.
        aggregate: For a corpus metric; the mean of rows is used without it, or where no row has statistics.
        clusters: Row id to question, where questions were answered several times.
        seed: Of the bootstrap, non-negative.
        resamples: Bootstrap samples.
        method: Of the interval; 0/1 values always get Wilson's.

    Returns:
        The summary; None, NaN and infinite values count as unscored.

    Raises:
        ComparisonError: An id appears twice.
        UsageError: A setting is out of range.
    """
    settings = Settings(seed=seed, resamples=resamples, method=method)
    ids, every, statistics = row_values(scores, info.name, aggregate)
    kept = np.abs(every) <= LARGEST
    values, unscored = every[kept], int((~kept).sum())
    if not values.size:
        return MetricSummary(info.name, 0, unscored, None, None, None, None, None)
    statistics = None if statistics is None else statistics[kept]
    if clusters is not None:
        grouping = Grouping.of([row for row, scored in zip(ids, kept, strict=True) if scored], clusters)
        values = grouping.mean(values)
        statistics = None if statistics is None else grouping.total(statistics)
    if statistics is None or aggregate is None:
        estimate = of_mean(values)
        limits = _wilson(values) if is_binary(values) else _interval(estimate, settings, corpus=False)
    else:
        estimate = of_corpus(statistics, aggregate)
        limits = _interval(estimate, settings, corpus=True)
    return MetricSummary(
        metric=info.name,
        n=values.size,
        unscored=unscored,
        value=estimate.value if np.isfinite(estimate.value) else None,
        mean=float(values.mean()),
        median=float(np.median(values)),
        std=float(values.std(ddof=1)) if values.size > 1 else None,
        interval=limits,
    )


def _wilson(values: Floats) -> Interval | None:
    return interval(Wilson(int(values.sum()), values.size), 0.95) if values.size > 1 else None


def _interval(estimate: Estimate, settings: Settings, *, corpus: bool) -> Interval | None:
    """The 95 % interval; None for fewer than two rows."""
    if not np.isfinite(estimate.value):
        return None
    method, replicates = chosen(estimate, settings.method, corpus=corpus), None
    if needs_bootstrap(estimate, method):
        (replicates,) = bootstrap([estimate], settings.seed, settings.resamples)
    known = confidence(estimate, method, replicates)
    return None if known is None else interval(known, 0.95)
