"""Every candidate against the baseline, on every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.comparison.analysis import Case, analyse
from loralift.comparison.margins import with_margins
from loralift.comparison.pairing import Aggregate, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import Comparison, MetricInfo, Score, Scores


def compare(
    baseline_name: str,
    baseline_scores: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    infos: Mapping[str, MetricInfo],
    settings: Settings,
    *,
    aggregates: Mapping[str, Aggregate] | None = None,
    clusters: Clusters | None = None,
) -> Comparison:
    """Compare candidates with a baseline on rows paired by id, and judge each metric.

    Args:
        baseline_name: Any variant; an adapter can be the baseline of other adapters.
        baseline_scores: Its rows, in any order.
        candidates: Variant to rows.
        infos: The metrics to compare; values of others are ignored.
        settings: How to compare; its primary metric must have a direction. No figure depends on the order or number
            of rows, metrics or candidates, but for adjusted p values and verdicts, which depend on the family.
        aggregates: For corpus metrics, summed statistics (..., k) to values (...).
        clusters: Row id to question, where questions were answered several times.

    Returns:
        Rows in the order of candidates, then metrics.

    Raises:
        ComparisonError: Two sides share no id, an id appears twice on one side, or there is no candidate.
        UsageError: The primary metric is unknown or has no direction, or a margin is of an unknown metric or
            holds the whole scale of its metric.
    """
    aggregates = aggregates or {}
    _check(candidates, infos, settings)
    baseline_scores = Scores.of(baseline_scores)
    settings = with_margins(settings, baseline_scores, infos, aggregates)
    pairs = {name: pair(baseline_scores, of, names=(baseline_name, name)) for name, of in candidates.items()}
    cases = (
        Case(baseline_name, name, info, sample(of, info, aggregates.get(info.name), clusters), settings.margin(info))
        for name, of in pairs.items()
        for info in infos.values()
    )
    judged = tuple(analyse(cases, settings))
    return Comparison(
        baseline=baseline_name,
        candidates=tuple(candidates),
        primary=settings.primary,
        alpha=settings.alpha,
        verdicts={row.candidate: row.verdict for row in judged if row.metric == settings.primary and row.verdict},
        rows=judged,
        metrics=dict(infos),
        seed=settings.seed,
        resamples=settings.resamples,
    )


def _check(candidates: Mapping[str, Sequence[Score]], infos: Mapping[str, MetricInfo], settings: Settings) -> None:
    if not candidates:
        raise ComparisonError("there is no candidate to compare with the baseline")
    judged, primary = [name for name, info in infos.items() if info.higher_is_better is not None], settings.primary
    if primary not in judged:
        raise UsageError(wrong_argument("primary", f"one of the metrics that are judged ({some(judged, 20)})", primary))
    for name in settings.margins:
        if name not in infos:
            raise UsageError(wrong_argument("margins", f"about the metrics compared ({some(infos, 20)})", name))
    settings.fit(infos)
