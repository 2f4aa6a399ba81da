"""Questions asked in a drawn order, block by block, until every candidate's verdict is sure: the rule and its verdict.

The error rate alpha is shared evenly between candidates (Bonferroni), and each candidate's between two halves. One half
is the confidence sequence's, which may be looked at after every block. The other is kept for one ordinary analysis of
all rows, where they run out before the sequence is sure. So whatever is true of a candidate, the chance that any
verdict on any candidate is false, `equivalent` among them, is at most alpha over the whole path.

The target is the mean over the questions that the data are a sample of, as in every other verdict, not that of the rows
at hand: a sequence for sampling without replacement (Waudby-Smith and Ramdas, 2020) would be sure sooner, but of these
rows alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from loralift.comparison.analysis import known_of
from loralift.comparison.contrast import contrast, row_differences
from loralift.comparison.intervals import Confidence, interval
from loralift.comparison.margins import with_margins
from loralift.comparison.pairing import Sample, pair, sample
from loralift.comparison.sequences import ABOVE, BELOW, INSIDE, UNKNOWN, ConfidenceSequence, sides
from loralift.comparison.settings import Settings
from loralift.errors import ComparisonError, UsageError
from loralift.records import Comparison, Interval, MetricComparison, MetricInfo, Score, Stopping, Verdict

ON_THE_WAY = 0.5
"""The sequence's share of alpha; the rest is the last analysis'. Half costs little of either (docs/statistics.md)."""

BLOCK = 64
"""Rows of a block, until a tenth of those asked is more."""

CONTRADICTION = (
    "The rows contradict that they were drawn at random from one population: what was sure early is excluded later."
)

SURE_BEFORE = "The verdict was sure when the run stopped, and by the scores of its end it is not: ask all rows instead."

BETTING = "betting"
"""The name of the sequence's intervals, and of its test."""


def drawn(ids: Iterable[str], seed: int) -> list[str]:
    """The order in which rows are asked, drawn once: by a hash of seed and id, the same on every machine.

    >>> drawn(["a", "b", "c"], 0) == drawn(["c", "b", "a"], 0)
    True
    """
    return sorted(ids, key=lambda row: (hashlib.sha256(f"{seed}\0{row}".encode()).digest(), row))


def looks_of(rows: int, block: int = BLOCK) -> tuple[int, ...]:
    """After how many rows one looks; the last is after all.

    >>> looks_of(200), looks_of(50)
    ((64, 128, 200), (50,))
    """
    looks, end = [], block
    while end < rows - block / 2:
        looks.append(end)
        end += max(block, end // 10)
    return (*looks, rows)


def reach_of(info: MetricInfo) -> float:
    """The largest difference of two values of a metric, in its unit.

    Raises:
        UsageError: It has no bounds, or no value of single rows, so that nothing is known before the last row.
    """
    if not info.corpus and _span(info) < math.inf:
        return _span(info)
    why = "has a value of all rows together only" if info.corpus else "has no bounds"
    raise UsageError(
        f"`--stop-when-sure` needs a primary metric with a bounded value of each row, and {info.name} {why}: give "
        "--primary semantic_similarity, rougeL, f1 or exact_match, or leave it out"
    )


def sure_so_far(
    base: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    info: MetricInfo,
    settings: Settings,
    stopping: Stopping,
) -> dict[str, Verdict]:
    """What the sequence says of each candidate after the last of the looks.

    Args:
        base: The base's rows, as many as were asked.
        candidates: Candidate to the same rows.
        info: The metric that decides.
        settings: Its margin, and alpha.
        stopping: How far one is.

    Returns:
        Candidate to its verdict; one that is not sure is ``inconclusive``.
    """
    margin = with_margins(settings, base, {info.name: info}, {}).margin(info)
    error = ON_THE_WAY * settings.alpha / len(candidates)
    found = {}
    for name, rows in candidates.items():
        seen = _sequence(sample(pair(base, rows), info), info, base, stopping)
        side = int(sides(seen.values, seen.reach, seen.looks, margin, error)[-1])
        found[name] = _verdict(side, info)
    return found


def stopped(
    comparison: Comparison, scores: Mapping[str, Sequence[Score]], stopping: Stopping, settings: Settings
) -> Comparison:
    """A comparison of rows that were asked until a verdict was sure, with what holds of such rows and nothing else.

    The metric that decides has the sequence's figures, or those of the last analysis where rows ran out. The others
    describe: alpha is spent, so they have no verdict and no test. Where one has bounds, its interval is a sequence's of
    the same level, which holds wherever one stops; others have none.

    Args:
        comparison: As `compare` made it of these rows.
        scores: Variant to its scores.
        stopping: How they were asked.
        settings: The comparison's own, with its margins.
    """
    rows, base, alpha = [], scores[comparison.baseline], settings.alpha / len(comparison.candidates)
    for row in comparison.rows:
        info = comparison.metrics[row.metric]
        of = sample(pair(base, scores[row.candidate]), info)
        row = replace(row, **_NOTHING)
        if row.metric != comparison.primary:
            row = _described(row, of, info, base, stopping, ON_THE_WAY * alpha)
        elif row.difference is None:
            row = replace(row, verdict="inconclusive")
        else:
            left = None if stopping.rows < stopping.of else of
            row = _judged(row, _sequence(of, info, base, stopping), left, info, settings, alpha)
        if row.verdict == "inconclusive" and stopping.sure:
            row = replace(row, warnings=(*row.warnings, SURE_BEFORE))
        rows.append(row)
    verdicts = {row.candidate: row.verdict for row in rows if row.metric == comparison.primary and row.verdict}
    described = {
        name: info if name == comparison.primary else replace(info, higher_is_better=None)
        for name, info in comparison.metrics.items()
    }
    return replace(comparison, rows=tuple(rows), verdicts=verdicts, metrics=described, ranking=None, stopping=stopping)


_NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("interval", "equivalence_interval", "p_value", "p_adjusted", "p_equivalence", "verdict")),
    **dict.fromkeys(("minimum_detectable_effect", "rows_needed")),
    "test": "",
}
"""What an ordinary analysis says, and what does not hold of rows at which one stopped."""


def _described(
    row: MetricComparison, of: Sample, info: MetricInfo, base: Sequence[Score], stopping: Stopping, error: float
) -> MetricComparison:
    """The row of a metric that does not decide, with an interval where it keeps to bounds."""
    bounded = _span(info) < math.inf and bool((np.abs(row_differences(of)) <= _span(info)).all())
    if row.difference is None or info.corpus or not bounded:
        return row
    low, high = _sequence(of, info, base, stopping).ends(error / 2)
    return replace(row, interval=Interval(low, high, 1 - error, BETTING))


def _judged(
    row: MetricComparison,
    seen: ConfidenceSequence,
    left: Sample | None,
    info: MetricInfo,
    settings: Settings,
    alpha: float,
) -> MetricComparison:
    """The row that decides, with the sequence's figures, or those of the analysis of all rows where it is not sure.

    Args:
        row: Without figures of chance.
        seen: The differences.
        left: All rows, where none is left to ask; None: there are.
        info: The metric.
        settings: Its margin.
        alpha: This candidate's share of the error rate.
    """
    margin, error = settings.margin(info), ON_THE_WAY * alpha
    low, high = seen.ends(error / 2)
    if low > high:
        return replace(row, verdict="inconclusive", warnings=(*row.warnings, CONTRADICTION))
    side = int(sides(seen.values, seen.reach, seen.looks, margin, error)[-1])
    if side == UNKNOWN and left is not None and (known := _known(left, settings)) is not None:
        return _at_the_end(row, known, info, settings, alpha)
    p_inside = None if margin is None else max(seen.p_above(-margin), seen.p_below(margin))
    return replace(
        row,
        interval=Interval(low, high, 1 - error, BETTING),
        equivalence_interval=Interval(*seen.ends(error), 1 - 2 * error, BETTING),
        **_p_values(min(seen.p_above(0.0), seen.p_below(0.0)), p_inside, settings.alpha / error),
        test=BETTING,
        verdict=_verdict(side, info),
    )


def _at_the_end(
    row: MetricComparison, known: Confidence, info: MetricInfo, settings: Settings, alpha: float
) -> MetricComparison:
    """The row by one ordinary analysis of all rows, with the part of the error rate that is left."""
    margin, error = settings.margin(info), (1 - ON_THE_WAY) * alpha
    wide, inner = interval(known, 1 - error), interval(known, 1 - 2 * error)
    beyond = min(known.cdf(0.0), 1 - known.cdf(0.0))
    p_inside = None if margin is None else max(known.cdf(-margin), 1 - known.cdf(margin))
    side = UNKNOWN
    if margin is not None and -margin < inner.low and inner.high < margin and p_inside is not None and p_inside < error:
        side = INSIDE
    elif (wide.low > 0 or wide.high < 0) and 2 * beyond < error:
        side = ABOVE if wide.low > 0 else BELOW
    return replace(
        row,
        interval=wide,
        equivalence_interval=inner,
        **_p_values(beyond, p_inside, settings.alpha / error),
        test=f"{known.method}, after all rows",
        verdict=_verdict(side, info),
    )


def _p_values(beyond: float, p_inside: float | None, times: float) -> dict[str, Any]:
    """The row's p values.

    Args:
        beyond: The smaller of the one-sided ones about 0.
        p_inside: Of the equivalence test.
        times: How much smaller than alpha the error rate is that they are held against.
    """
    two_sided = min(1.0, 2 * beyond)
    adjusted = None if p_inside is None else min(1.0, times * p_inside)
    return {"p_value": two_sided, "p_adjusted": min(1.0, times * two_sided), "p_equivalence": adjusted}


def _known(of: Sample, settings: Settings) -> Confidence | None:
    found = contrast(of)
    return None if found is None else known_of(found, settings)


def _sequence(of: Sample, info: MetricInfo, base: Sequence[Score], stopping: Stopping) -> ConfidenceSequence:
    """The differences in the order in which they were asked; those that are not scored take no part.

    Raises:
        ComparisonError: A value is beyond the metric's own bounds, so that nothing about it would hold.
    """
    reach = _span(info)
    differences = row_differences(of)
    if not (np.abs(differences) <= reach).all():
        raise ComparisonError(
            f"`--stop-when-sure` takes the values of {info.name} to be {info.low:g} to {info.high:g}, as it says, and "
            f"two differ by {np.abs(differences).max():g}: let the metric say its true bounds, or leave the flag out"
        )
    by_row = dict(zip(of.ids, differences.tolist(), strict=True))
    order = drawn((row.id for row in base), stopping.seed)
    scored = np.cumsum([row in by_row for row in order])
    looks = tuple(int(scored[end - 1]) for end in stopping.looks)
    return ConfidenceSequence(np.array([by_row[row] for row in order if row in by_row]), reach, looks)


def _span(info: MetricInfo) -> float:
    low, high = info.low, info.high
    return math.inf if low is None or high is None else high - low


def _verdict(side: int, info: MetricInfo) -> Verdict:
    if side == INSIDE:
        return "equivalent"
    if side == UNKNOWN:
        return "inconclusive"
    return "better" if (side == ABOVE) == info.higher_is_better else "worse"
