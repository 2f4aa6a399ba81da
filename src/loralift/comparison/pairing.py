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
from loralift.records import LARGEST, MetricInfo, Score

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

    baseline: tuple[Score, ...]
    candidate: tuple[Score, ...]
    only_baseline: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the pairs, sorted."""
        return tuple(row.id for row in self.baseline)


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

    ids: tuple[str, ...]
    baseline: Floats
    candidate: Floats
    answers: int
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
    left, right = by_id(baseline, names[0]), by_id(candidate, names[1])
    shared = sorted(left.keys() & right.keys())
    if not shared:
        raise ComparisonError(
            f"no id is on both sides: {names[0]} has {_described(left)}, {names[1]} has {_described(right)}"
        )
    return Pairs(
        baseline=tuple(left[row] for row in shared),
        candidate=tuple(right[row] for row in shared),
        only_baseline=tuple(sorted(left.keys() - right.keys())),
        only_candidate=tuple(sorted(right.keys() - left.keys())),
    )


def by_id(scores: Sequence[Score], side: str) -> dict[str, Score]:
    """Rows by id.

    Raises:
        ComparisonError: An id appears twice.
    """
    rows = {row.id: row for row in scores}
    if len(rows) < len(scores):
        counts = Counter(row.id for row in scores)
        twice = [row for row, count in counts.items() if count > 1]
        raise ComparisonError(f"{side} has more than one row for the same id: {some(twice)}")
    return rows


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
    ids = np.array(pairs.ids, dtype=object)
    dropped = {"only in the baseline": pairs.only_baseline, "only in the candidate": pairs.only_candidate}
    unscored: Counter[str] = Counter()
    for reason, rows in _reasons(left, right).items():
        dropped |= _by_reason(pairs, info.name, reason, np.flatnonzero(rows).tolist(), unscored)
    found = Sample(
        ids=tuple(ids[kept]),
        baseline=left[kept],
        candidate=right[kept],
        answers=int(kept.sum()),
        dropped={reason: rows for reason, rows in dropped.items() if rows},
        baseline_statistics=None if left_statistics is None else left_statistics[kept],
        candidate_statistics=None if right_statistics is None else right_statistics[kept],
        aggregate=corpus,
        unscored=dict(unscored),
    )
    return found if clusters is None else _by_question(found, clusters)


def in_order(scores: Sequence[Score]) -> list[Score]:
    """One side's rows in the order of their sorted ids.

    Raises:
        ComparisonError: An id appears twice.
    """
    rows = by_id(scores, "the scores")
    return [rows[name] for name in sorted(rows)]


def row_values(rows: Sequence[Score], metric: str, aggregate: Aggregate | None) -> tuple[Floats, Floats | None]:
    """One side's row values, shape (n,), NaN where unscored; statistics, shape (n, k), or None for a mean of rows."""
    values, statistics = _numbers(rows, metric, aggregate)
    return _complete(values, statistics), statistics


def _described(rows: Mapping[str, Score]) -> str:
    return f"{len(rows)} rows ({some(sorted(rows), 3)})" if rows else "no rows"


def _numbers(rows: Sequence[Score], metric: str, aggregate: Aggregate | None) -> tuple[Floats, Floats | None]:
    """Values (n,), NaN where unscored, and statistics (n, k), NaN where a row has none.

    A row without a value takes it from its statistics. They are None for a mean of rows, or where no row has any.
    """
    found = (row.values.get(metric) for row in rows)
    values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    width = max((len(row.statistics[metric]) for row in rows if metric in row.statistics), default=0)
    if aggregate is None or not width:
        return values, None
    nothing = (np.nan,) * width
    statistics = np.array([row.statistics.get(metric, nothing) for row in rows], dtype=np.float64)
    with np.errstate(all="ignore"):
        alone = np.asarray(aggregate(statistics), dtype=np.float64)
    absent = np.array([metric not in row.values for row in rows], dtype=np.bool_)
    return np.where(absent, alone, values), statistics


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
    pairs: Pairs, metric: str, reason: str, rows: Sequence[int], unscored: Counter[str]
) -> dict[str, tuple[str, ...]]:
    """Pairs that are dropped for one reason, by what the metric says of them, which is counted too."""
    found: dict[str, list[str]] = {}
    for row in rows:
        baseline, candidate = pairs.baseline[row], pairs.candidate[row]
        said = [side.unscored[metric] for side in (baseline, candidate) if metric in side.unscored]
        why = "; ".join(dict.fromkeys(said))
        unscored.update([why] if why else [])
        found.setdefault(f"{reason} ({why})" if why else reason, []).append(baseline.id)
    return {reason: tuple(ids) for reason, ids in found.items()}


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
