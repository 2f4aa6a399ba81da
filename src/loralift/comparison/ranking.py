"""Any number of variants in order, and which neighbours are really apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from loralift.comparison.analysis import Case, analyse
from loralift.comparison.pairing import Aggregate, Pairs, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.comparison.summary import summarise
from loralift.errors import ComparisonError, UsageError, wrong_argument
from loralift.records import MetricComparison, MetricInfo, Place, Ranking, Score


def rank(
    variants: Mapping[str, Sequence[Score]],
    info: MetricInfo,
    settings: Settings,
    *,
    aggregate: Aggregate | None = None,
    clusters: Clusters | None = None,
) -> Ranking:
    """Rank variants by one metric, comparing each with each.

    Args:
        variants: Name to rows, two or more.
        info: The metric; it must have a direction.
        settings: How to compare; alpha is the chance that any two variants without a difference are told apart.
        aggregate: For a corpus metric.
        clusters: Row id to question, where questions were answered several times.

    Returns:
        The order and all pairs.

    Raises:
        ComparisonError: Fewer than two variants, two that share no id, or an id twice in one.
        UsageError: The metric has no direction.
    """
    if len(variants) < 2:
        raise ComparisonError(f"a ranking needs at least two variants, got {len(variants)}")
    if info.higher_is_better is None:
        raise UsageError(wrong_argument("info", "a metric with a direction", info.name))
    cases = [
        Case(
            first,
            second,
            info,
            sample(_paired(variants, first, second), info, aggregate, clusters),
            settings.margin(info),
        )
        for first, second in combinations(variants, 2)
    ]
    rows = analyse(cases, settings)
    places = [
        _place(name, rows, summarise(scores, info, aggregate, clusters=clusters, resamples=100, method="t").value)
        for name, scores in variants.items()
    ]
    sign = -1 if info.higher_is_better else 1
    places.sort(key=lambda place: (place.rank, place.value is None, sign * (place.value or 0.0), place.variant))
    return Ranking(info.name, tuple(places), tuple(rows))


def _place(variant: str, rows: Sequence[MetricComparison], value: float | None) -> Place:
    """One variant's place, from the verdicts on all pairs."""
    better_than = [row.baseline for row in rows if row.candidate == variant and row.verdict == "better"]
    better_than += [row.candidate for row in rows if row.baseline == variant and row.verdict == "worse"]
    beaten = sum(
        (row.candidate == variant and row.verdict == "worse") or (row.baseline == variant and row.verdict == "better")
        for row in rows
    )
    return Place(variant, 1 + beaten, value, tuple(better_than))


def _paired(variants: Mapping[str, Sequence[Score]], first: str, second: str) -> Pairs:
    return pair(variants[first], variants[second], names=(first, second))
