"""Aggregates of every metric over the rows of one variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loralift.comparison import summaries
from loralift.metrics import DEFAULT_METRICS, METRICS
from loralift.records import MetricInfo, MetricSummary, Score

# Metrics that a text alone can be scored with; the others need an answer's tokens or time, or the model's likelihoods.
PREDICTION_METRICS = tuple(name for name in DEFAULT_METRICS if METRICS[name].of_text or name == "unfinished")


def summarise_all(
    scores: Sequence[Score],
    metrics: Mapping[str, MetricInfo],
    seed: int,
    clusters: Callable[[str], str] | None = None,
) -> dict[str, MetricSummary]:
    """Every metric's aggregate: the mean of the rows, or the corpus statistic.

    Args:
        scores: One a row.
        metrics: What to aggregate.
        seed: Seed of the intervals' bootstrap.
        clusters: Row id to question, where questions were answered several times.
    """
    known = {name: METRICS[name].aggregate for name in metrics if name in METRICS}
    aggregates = {name: aggregate for name, aggregate in known.items() if aggregate is not None}
    return summaries(scores, metrics, aggregates, clusters=clusters, seed=seed)
