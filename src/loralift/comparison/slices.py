"""The same comparison on parts of the rows: where does a difference come from, and does it hide a loss?

Exploratory. The slices are a family of their own, apart from the comparison's: among all slices of all candidates that
have no difference, the chance of any ``better`` or ``worse`` is at most alpha.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from loralift.comparison.analysis import Case, analyse, empty_row
from loralift.comparison.columns import Column, cut_columns
from loralift.comparison.pairing import Aggregate, Pairs, pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.errors import UsageError, wrong_argument
from loralift.records import BASE, MetricComparison, MetricInfo, Plain, Score, SliceComparison

FEWEST = 10
"""Pairs below which a part is named, but not compared."""


def compare_slices(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    info: MetricInfo,
    parts: Mapping[str, Mapping[str, Plain]],
    settings: Settings,
    *,
    baseline_name: str = BASE,
    aggregate: Aggregate | None = None,
    clusters: Clusters | None = None,
) -> tuple[SliceComparison, ...]:
    """Compare candidates with a baseline on parts of the rows, each as ``compare`` does.

    A column should be known before anyone answered: words of the question or of the reference, a topic, a difficulty.
    Divided by what a side answered, the parts select rows by chance of that side, and differ for that reason alone.

    ``better`` here and ``inconclusive`` there is not a difference between two parts (Gelman and Stern, 2006): look at
    their intervals.

    Args:
        baseline: The baseline's rows, in any order.
        candidates: Variant to rows.
        info: The metric, as a rule the primary one; it must have a direction.
        parts: Column to row id, or question where there are ``clusters``, to value; cut as ``cut_columns`` says, which
            also names the columns that are left out. Rows without a value are in no part.
        settings: How to compare, as a rule the comparison's own; alpha is the family-wise error rate over all slices
            of all candidates.
        baseline_name: The baseline variant.
        aggregate: For a corpus metric.
        clusters: Row id to question, where questions were answered several times.

    Returns:
        In the order of candidates, columns, parts. A part with fewer than ten pairs has its names, its counts and a
        warning, but no figures, and is not in the family; a part without any row on either side is not there.

    Raises:
        ComparisonError: Two sides share no id, or an id appears twice on one side.
        UsageError: The metric has no direction.
    """
    if info.higher_is_better is None:
        raise UsageError(wrong_argument("info", "a metric with a direction", info.name))
    columns = cut_columns(parts).columns
    places, cases = [], []
    for candidate, scores in candidates.items():
        pairs = pair(baseline, scores, names=(baseline_name, candidate))
        for name, column in columns.items():
            for part, rows in _parted(pairs, column, clusters).items():
                numbers = sample(rows, info, aggregate, clusters)
                places.append((name, part))
                cases.append(Case(baseline_name, candidate, info, numbers, settings.margin(info)))
    judged = iter(analyse([case for case in cases if _enough(case)], settings))
    rows_found = (next(judged) if _enough(case) else _too_few(case) for case in cases)
    return tuple(SliceComparison(*place, row) for place, row in zip(places, rows_found, strict=True))


def _parted(pairs: Pairs, column: Column, clusters: Clusters | None) -> dict[str, Pairs]:
    """The pairs of each part that has any row, in the order of the parts."""
    sides = (pairs.ids, pairs.only_baseline, pairs.only_candidate)
    both, mine, theirs = (column.numbers_of(ids, clusters) for ids in sides)
    found = {}
    for number, label in enumerate(column.parts):
        only = (
            [row for row, of in zip(rows, numbers.tolist(), strict=True) if of == number]
            for rows, numbers in ((pairs.only_baseline, mine), (pairs.only_candidate, theirs))
        )
        rows = pairs.take(np.flatnonzero(both == number), *only)
        if len(rows.ids) or rows.only_baseline or rows.only_candidate:
            found[label] = rows
    return found


def _enough(case: Case) -> bool:
    return len(case.sample.ids) >= FEWEST


def _too_few(case: Case) -> MetricComparison:
    row = empty_row(case)
    sentence = f"Fewer than {FEWEST} pairs are too few to compare."
    return replace(row, warnings=(*row.warnings, sentence))
