"""Does a mode of running a model move a metric by more than noise?

The noise is what the reference mode itself moves by when only its batches change. That mode is judged too, without a
floor: it would always lie within its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.comparison.noise import inside
from loralift.records import MetricComparison, NoiseFloor, ParityVerdict


def first_divergence(reference: Sequence[int], other: Sequence[int]) -> int | None:
    """The first place, counted from 1, at which two sequences differ; None where they are the same.

    >>> first_divergence([5, 6, 7], [5, 6])
    3
    """
    if tuple(reference) == tuple(other):
        return None
    pairs = enumerate(zip(reference, other, strict=False), start=1)
    return next((place for place, (one, two) in pairs if one != two), min(len(reference), len(other)) + 1)


def judge_mode(
    rows: Sequence[MetricComparison], floors: Mapping[str, NoiseFloor] | None, *, identical: bool
) -> tuple[ParityVerdict, tuple[str, ...]]:
    """The verdict on one mode of one variant.

    A metric moves where it would be called better or worse (adjusted p below alpha, the 95 % interval without 0, the
    90 % interval not inside the margin) and its difference is beyond the noise floor.

    Args:
        rows: Each judged metric, the mode minus the reference mode.
        floors: By metric; None: the mode is the noise itself.
        identical: Whether every token of every answer is the same.

    Returns:
        The verdict, and the metrics that move.
    """
    noisy = {row.metric for row in rows if floors and row.metric in floors and inside(row, floors[row.metric])}
    moved = tuple(row.metric for row in rows if row.verdict in ("better", "worse") and row.metric not in noisy)
    if moved:
        return "MOVES", moved
    if identical:
        return "identical", ()
    open_ones = {row.metric for row in rows if row.difference and row.verdict != "equivalent"}
    if not open_ones:
        return "equivalent", ()
    return ("within noise" if floors is None or open_ones <= noisy else "undecided"), ()
