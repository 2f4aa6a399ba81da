"""Which rows of two variants can be compared, and why the others cannot.

Everything below this file works on arrays in the order of the sorted ids, so the order in which rows were written, and
rows that the other side lacks, cannot change a figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.repeats import Clusters, Grouping
from loralift.errors import ComparisonError, some
from loralift.records import LARGEST, ById, Ids, MetricInfo, Score, Scores

Floats = NDArray[np.float64]

Aggregate = Callable[[Floats], Floats]
"""Summed sufficient statistics, shape (..., k), to corpus values, shape (...)."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rows that two variants share.

    Attributes:
        baseline: The baseline's rows, in the order of their sorted ids.
        candidate: The candidate's rows; the i-th has the id of the baseline's i-th.
        only_baseline: Ids that the candidate lacks, sorted.
        only_candidate: Ids that the baseline lacks, sorted.
    """

    baseline: Scores
    candidate: Scores
    only_baseline: Sequence[str] = ()
    only_candidate: Sequence[str] = ()

    @property
    def ids(self) -> Ids:
        """The ids of the pairs, sorted."""
        return self.baseline.ids

    def take(
        self, places: NDArray[np.int64], only_baseline: Sequence[str] = (), only_candidate: Sequence[str] = ()
    ) -> Pairs:
        """Some of the pairs, by their places in rising order, and some of the ids that one side lacks."""
        return Pairs(self.baseline.take(places), self.candidate.take(places), only_baseline, only_candidate)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One metric's numbers on the pairs that were scored on both sides, n of them.

    Attributes:
        ids: The pairs' ids (the questions, where repeats were averaged), sorted.
        baseline: Row values, shape (n,).
        candidate: Row values, shape (n,).
        answers: Scored pairs of answers; more than n where repeats were averaged.
        dropped: Reason to the ids dropped for it.
        baseline_statistics: Sufficient statistics, shape (n, k); None for a mean of rows.
        candidate_statistics: The same of the candidate.
        aggregate: What turns summed statistics into the corpus value; None for a mean of rows.
        unscored: Why the metric cannot score rows, to the number of rows: those among the dropped that say why.
        widening: Factor, at least 1, on the deviations of the row differences from their mean, where rows are less
            independent than they look (``crossfit``); of a mean of rows only.
    """

    ids: Sequence[str]
    baseline: Floats
    candidate: Floats
    answers: int
    dropped: Mapping[str, Sequence[str]] = field(default_factory=dict)
    baseline_statistics: Floats | None = None
    candidate_statistics: Floats | None = None
    aggregate: Aggregate | None = None
    unscored: Mapping[str, int] = field(default_factory=dict)
    widening: float = 1.0


def pair(
    baseline: Sequence[Score],
    candidate: Sequence[Score],
    *,
    names: tuple[str, str] = ("the baseline", "the candidate"),
) -> Pairs:
    """Pair two variants' rows by id.

    Args:
        baseline: The baseline's rows, in any order.
        candidate: The candidate's rows, in any order.
        names: What error messages call the two.

    Returns:
        The rows that both have, sorted by id, and the ids that only one has.

    Raises:
        ComparisonError: An id appears twice on one side, or no id appears on both.
    """
    left, right = once(baseline, names[0]), once(candidate, names[1])
    if left.ids is right.ids and len(left):
        return Pairs(left.sorted, right.sorted)
    mine, theirs = left.ids.places_of(right.ids.sorted), right.ids.places_of(left.ids.sorted)
    shared = left.ids.sorted.take(theirs >= 0)
    if not len(shared):
        raise ComparisonError(
            f"no id is on both sides: {names[0]} has {_described(left)}, {names[1]} has {_described(right)}"
        )
    return Pairs(
        baseline=left.take(mine[mine >= 0]),
        candidate=right.take(theirs[theirs >= 0]),
        only_baseline=tuple(left.ids.sorted.take(theirs < 0)),
        only_candidate=tuple(right.ids.sorted.take(mine < 0)),
    )


def once(rows: Sequence[Score], side: str) -> Scores:
    """One side's rows by column.

    Raises:
        ComparisonError: An id appears twice.
    """
    scores = Scores.of(rows)
    if scores.ids.twice:
        twice = dict.fromkeys(scores.ids[place] for place in scores.ids.twice)
        raise ComparisonError(f"{side} has more than one row for the same id: {some(twice)}")
    return scores


def by_id(rows: Sequence[Score], side: str) -> ById[Score]:
    """Rows by id.

    Raises:
        ComparisonError: An id appears twice.
    """
    scores = once(rows, side)
    return ById(scores.ids, scores)


def sample(
    pairs: Pairs, info: MetricInfo, aggregate: Aggregate | None = None, clusters: Clusters | None = None
) -> Sample:
    """One metric's numbers on the pairs, without the rows that cannot be compared.

    A row is left out, and named with its reason, if one side lacks it, if its value is None or NaN on a side
    (unscored; with the metric's own reason where it gave one), or if it is infinite there. With ``clusters``, rows of
    one question become one row: their values are averaged and their statistics summed, so that n counts questions and
    the rows left are independent.

    Args:
        pairs: The rows of both variants.
        info: The metric.
        aggregate: For a corpus metric; the mean of rows is used without it, or where a side has no statistics.
        clusters: Id to question, where questions were answered several times.

    Returns:
        The sample; it may be empty.
    """
    left, left_statistics = _numbers(pairs.baseline, info.name, aggregate)
    right, right_statistics = _numbers(pairs.candidate, info.name, aggregate)
    corpus = aggregate
    if left_statistics is None or right_statistics is None:
        corpus = left_statistics = right_statistics = None
    left, right = _complete(left, left_statistics), _complete(right, right_statistics)
    kept = (np.abs(left) <= LARGEST) & (np.abs(right) <= LARGEST)
    dropped = {"only in the baseline": pairs.only_baseline, "only in the candidate": pairs.only_candidate}
    unscored: Counter[str] = Counter()
    for reason, rows in _reasons(left, right).items():
        dropped |= _by_reason(pairs, info.name, reason, np.flatnonzero(rows), unscored)
    found = Sample(
        ids=pairs.ids if kept.all() else pairs.ids.take(kept),
        baseline=left[kept],
        candidate=right[kept],
        answers=int(kept.sum()),
        dropped={reason: rows for reason, rows in dropped.items() if len(rows)},
        baseline_statistics=None if left_statistics is None else left_statistics[kept],
        candidate_statistics=None if right_statistics is None else right_statistics[kept],
        aggregate=corpus,
        unscored=dict(unscored),
    )
    return found if clusters is None else _by_question(found, clusters)


def in_order(scores: Sequence[Score]) -> Scores:
    """One side's rows in the order of their sorted ids.

    Raises:
        ComparisonError: An id appears twice.
    """
    return once(scores, "the scores").sorted


def row_values(rows: Scores, metric: str, aggregate: Aggregate | None) -> tuple[Floats, Floats | None]:
    """One side's row values, shape (n,), NaN where unscored; statistics, shape (n, k), or None for a mean of rows."""
    values, statistics = _numbers(rows, metric, aggregate)
    return _complete(values, statistics), statistics


def _described(rows: Scores) -> str:
    return f"{len(rows)} rows ({some(rows.ids.sorted, 3)})" if len(rows) else "no rows"


def _numbers(rows: Scores, metric: str, aggregate: Aggregate | None) -> tuple[Floats, Floats | None]:
    """Values (n,), NaN where unscored, and statistics (n, k), NaN where a row has none.

    A row without a value takes it from its statistics. They are None for a mean of rows, or where no row has any.
    """
    values = rows.values(metric)
    statistics = None if aggregate is None else rows.statistics(metric)
    if aggregate is None or statistics is None:
        return values, None
    absent = rows.absent(metric)
    if absent.any():
        with np.errstate(all="ignore"):
            alone = np.asarray(aggregate(statistics), dtype=np.float64)
        values = np.where(absent, alone, values)
    return values, statistics


def _complete(values: Floats, statistics: Floats | None) -> Floats:
    """The values, NaN where the corpus value would lack the row's statistics."""
    return values if statistics is None else np.where(np.isfinite(statistics).all(axis=1), values, np.nan)


def _reasons(left: Floats, right: Floats) -> dict[str, NDArray[np.bool_]]:
    """Why pairs are dropped: reason to a mask over the pairs; the masks do not overlap."""
    no_left, no_right = np.isnan(left), np.isnan(right)
    scored = ~no_left & ~no_right
    return {
        "unscored in the baseline": no_left & ~no_right,
        "unscored in the candidate": no_right & ~no_left,
        "unscored in both": no_left & no_right,
        "infinite in the baseline": scored & (np.abs(left) > LARGEST),
        "infinite in the candidate": scored & (np.abs(right) > LARGEST) & (np.abs(left) <= LARGEST),
    }


def _by_reason(
    pairs: Pairs, metric: str, reason: str, rows: NDArray[np.int64], unscored: Counter[str]
) -> dict[str, Sequence[str]]:
    """Pairs that are dropped for one reason, by what the metric says of them, which is counted too."""
    if not rows.size:
        return {}
    (left, of_left), (right, of_right) = pairs.baseline.reasons(metric), pairs.candidate.reasons(metric)
    both = left[rows].astype(np.int64) * len(of_right) + right[rows]
    found: dict[str, list[NDArray[np.int64]]] = {}
    kinds, firsts = np.unique(both, return_index=True)
    for kind in kinds[np.argsort(firsts)].tolist():
        said = [of_left[kind // len(of_right)], of_right[kind % len(of_right)]]
        why = "; ".join(dict.fromkeys(filter(None, said)))
        here = rows[both == kind]
        unscored.update({why: here.size} if why else {})
        found.setdefault(f"{reason} ({why})" if why else reason, []).append(here)
    return {reason: pairs.ids.take(np.sort(np.concatenate(of))) for reason, of in found.items()}


def _by_question(rows: Sample, clusters: Clusters) -> Sample:
    """Average the values, and sum the statistics, of the rows of each question."""
    grouping = Grouping.of(rows.ids, clusters)
    left, right = rows.baseline_statistics, rows.candidate_statistics
    return replace(
        rows,
        ids=grouping.questions,
        baseline=grouping.mean(rows.baseline),
        candidate=grouping.mean(rows.candidate),
        baseline_statistics=None if left is None else grouping.total(left),
        candidate_statistics=None if right is None else grouping.total(right),
    )
