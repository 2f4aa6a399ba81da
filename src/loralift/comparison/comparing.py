"""Every candidate against the baseline, on every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.comparison.analysis import Case, Settings, analyse
from loralift.comparison.intervals import Method
from loralift.comparison.pairing import Aggregate, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.errors import ComparisonError, UsageError, some, wrong_argument
from loralift.records import Comparison, MetricInfo, Score


def compare(
    baseline_name: str,
    baseline_scores: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    infos: Mapping[str, MetricInfo],
    *,
    primary: str,
    aggregates: Mapping[str, Aggregate] | None = None,
    margins: Mapping[str, float] | None = None,
    clusters: Clusters | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    resamples: int = 10_000,
    method: Method = "auto",
) -> Comparison:
    """Compare candidates with a baseline on rows paired by id, and judge each metric.

    Args:
        baseline_name: Any variant; an adapter can be the baseline of other adapters.
        baseline_scores: Its rows, in any order.
        candidates: Variant to rows.
        infos: The metrics to compare; values of others are ignored.
        primary: The metric that decides; it must have a direction.
        aggregates: For corpus metrics, summed statistics (..., k) to values (...).
        margins: Metric to equivalence margin, in place of ``MetricInfo.margin``.
        clusters: Row id to question, where questions were answered several times.
        alpha: Family-wise error rate over all metrics and candidates.
        seed: Of every resampling, non-negative. No figure depends on the order or number of rows, metrics or
            candidates, but for adjusted p values and verdicts, which depend on the family.
        resamples: Bootstrap samples and random relabellings.
        method: Of the intervals; ``auto`` takes what holds its level (``docs/statistics.md``).

    Returns:
        Rows in the order of candidates, then metrics.

    Raises:
        ComparisonError: Two sides share no id, an id appears twice on one side, or there is no candidate.
        UsageError: The primary metric is unknown or has no direction, a margin is not positive or of an unknown
            metric, or a setting is out of range.
    """
    settings = Settings(alpha=alpha, seed=seed, resamples=resamples, method=method)
    margins, aggregates = margins or {}, aggregates or {}
    _check(candidates, infos, primary, margins)
    cases = []
    for candidate, scores in candidates.items():
        pairs = pair(baseline_scores, scores, names=(baseline_name, candidate))
        for name, info in infos.items():
            rows = sample(pairs, info, aggregates.get(name), clusters)
            cases.append(Case(baseline_name, candidate, info, rows, margins.get(name, info.margin)))
    judged = tuple(analyse(cases, settings, primary))
    return Comparison(
        baseline=baseline_name,
        candidates=tuple(candidates),
        primary=primary,
        alpha=alpha,
        verdicts={row.candidate: row.verdict for row in judged if row.metric == primary and row.verdict},
        rows=judged,
        metrics=dict(infos),
        seed=seed,
        resamples=resamples,
    )


def _check(
    candidates: Mapping[str, Sequence[Score]],
    infos: Mapping[str, MetricInfo],
    primary: str,
    margins: Mapping[str, float],
) -> None:
    if not candidates:
        raise ComparisonError("there is no candidate to compare with the baseline")
    judged = [name for name, info in infos.items() if info.higher_is_better is not None]
    if primary not in judged:
        raise UsageError(wrong_argument("primary", f"one of the metrics that are judged ({some(judged, 20)})", primary))
    for name, margin in margins.items():
        if name not in infos:
            raise UsageError(wrong_argument("margins", f"about the metrics compared ({some(infos, 20)})", name))
        if not margin > 0:
            raise UsageError(wrong_argument(f"margins[{name}]", "a positive number", margin))
