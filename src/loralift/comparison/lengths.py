"""How much of a difference goes with longer or shorter answers?

Many metrics rise with length alone: recall finds more words in a longer answer, and judges prefer long ones. So the row
differences d are regressed on the row differences of log(1 + words), x:

    d = adjusted + slope x + rest

and ``adjusted``, the intercept, is the difference at equal length. Logarithms, because ten more words matter after
ten words and hardly after three hundred, and so that one very long answer does not outweigh all others; the 1 allows
empty answers. The same idea, on a judge's preferences, is length-controlled AlpacaEval (Dubois et al., 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loralift.comparison.contrast import row_differences
from loralift.comparison.estimate import of_mean
from loralift.comparison.intervals import StudentT, confidence, interval
from loralift.comparison.pairing import Floats, Pairs, Sample, pair, sample
from loralift.comparison.repeats import Clusters, Grouping
from loralift.records import BASE, ROUNDING, Ids, Interval, LengthAdjustment, MetricInfo, Score

FEWEST = 10
"""Pairs below which nothing is adjusted."""

SUPPORT = 0.05
"""Share of the pairs, and five at least, that must lie on each side of equal length; else a line extrapolates."""

HEAVIEST = 0.4
WIDEST = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """y = intercept + slope x.

    Attributes:
        intercept: y at x = 0.
        slope: Of y on x.
        intercept_error: HC3 standard error.
        slope_error: HC3 standard error; infinite where one row alone decides the slope.
        freedom: Degrees of freedom.
    """

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float
    freedom: int


def fit(x: Floats, y: Floats) -> Line:
    """Fit a line, with HC3 standard errors (MacKinnon and White, 1985; Long and Ervin, 2000).

    HC3 divides each row's residual by 1 - h, for its leverage h: what the residual would be had the row not taken part.

    Args:
        x: Shape (n,), n at least 3.
        y: Shape (n,).

    Returns:
        The line; the mean of y, with its own standard error and slope 0, where all x are 0.

    Raises:
        ValueError: All x are the same, and not 0.
    """
    n = x.size
    if not x.any():
        mean = of_mean(y)
        return Line(mean.value, 0.0, mean.standard_error, 0.0, n - 1)
    centred = x - x.mean()
    if np.abs(centred).max() <= ROUNDING * np.abs(x).max():
        raise ValueError("without spread in x there is no line")
    spread = float((centred**2).sum())
    slope = float((centred * y).sum()) / spread
    intercept = float(y.mean() - slope * x.mean())
    left = 1 - 1 / n - centred**2 / spread
    alone = left <= ROUNDING
    residuals = np.where(alone, 0.0, y - intercept - slope * x) / np.where(alone, 1.0, left)

    def error(weights: Floats) -> float:
        return math.sqrt(float(((weights * residuals) ** 2).sum()))

    return Line(
        intercept=intercept,
        slope=slope,
        intercept_error=error(1 / n - x.mean() * centred / spread),
        slope_error=math.inf if alone.any() else error(centred / spread),
        freedom=n - 2,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """n pairs with a value and a length on both sides.

    Attributes:
        ids: Their ids, or questions.
        differences: Candidate minus baseline, shape (n,).
        longer: Candidate minus baseline of log(1 + words), shape (n,).
        words: Mean words of the baseline and of the candidate.
    """

    ids: Sequence[str]
    differences: Floats
    longer: Floats
    words: tuple[float, float]


def adjust_for_length(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    infos: Mapping[str, MetricInfo],
    *,
    lengths: str = "answer_words",
    clusters: Clusters | None = None,
    baseline_name: str = BASE,
) -> tuple[LengthAdjustment, ...]:
    """Each candidate's differences at equal length, for every judged metric that is a mean of rows.

    The interval is Student's t with n - 2 degrees of freedom on HC3 standard errors (MacKinnon and White, 1985), which
    allow for row differences that scatter more at some lengths than at others (``HC3 t`` in ``Interval.method``).

    What it assumes, and where it breaks:

    - It is an association over these questions, not what would happen if answers were cut or drawn out: where a
      question is both answered at length and answered well for a third reason, length gets the credit.
    - A line in log words. A metric that rises and then levels off leaves some of its length effect in ``adjusted``.
    - Equal length must occur. Where hardly any answer is as long as the baseline's, or nearly all are longer, the
      intercept lies outside the data, and no interval tells how wrong it is: ``adjusted`` is then None, with a warning.

    Args:
        baseline: The baseline's rows, in any order.
        candidates: Variant to rows.
        infos: The metrics; descriptive and corpus metrics are passed over.
        lengths: The metric that holds each answer's words; negative ones count as 0.
        clusters: Row id to question, where questions were answered several times.
        baseline_name: What error messages call the baseline.

    Returns:
        In the order of candidates, then metrics; none where no pair has both a value and a length.

    Raises:
        ComparisonError: Two sides share no id, or an id appears twice on one side.
    """
    found = []
    for candidate, scores in candidates.items():
        pairs = pair(baseline, scores, names=(baseline_name, candidate))
        words = sample(pairs, MetricInfo(lengths, lengths))
        for info in infos.values():
            measured = None if info.corpus or info.higher_is_better is None else _measured(pairs, info, words, clusters)
            if measured is not None:
                found.append(_adjusted(candidate, info.name, measured))
    return tuple(found)


def _measured(pairs: Pairs, info: MetricInfo, words: Sample, clusters: Clusters | None) -> _Measured | None:
    """The pairs that have a value and a length on both sides; None without any."""
    values = sample(pairs, info)
    ids = Ids.of(values.ids)
    of_words = Ids.of(words.ids).places_of(ids)
    of_values, of_words = np.flatnonzero(of_words >= 0), of_words[of_words >= 0]
    if not of_values.size:
        return None
    if of_values.size < len(ids):
        ids = ids.take(of_values)
    left, right = np.maximum(words.baseline[of_words], 0), np.maximum(words.candidate[of_words], 0)
    columns = [row_differences(values)[of_values], np.log1p(right) - np.log1p(left), left, right]
    if clusters is not None:
        grouping = Grouping.of(ids, clusters)
        columns = [grouping.mean(column) for column in columns]
    columns[1][np.abs(columns[1]) <= ROUNDING] = 0.0
    return _Measured(
        ids if clusters is None else grouping.questions,
        columns[0],
        columns[1],
        (float(columns[2].mean()), float(columns[3].mean())),
    )


def _adjusted(candidate: str, metric: str, measured: _Measured) -> LengthAdjustment:
    """One metric of one candidate at equal length."""
    difference, n = float(measured.differences.mean()), len(measured.ids)
    adjusted, limits, explained = None, None, None
    refusal = _refusal(measured.longer)
    warnings = [refusal] if refusal else []
    if not refusal:
        line = fit(measured.longer, measured.differences)
        adjusted, limits = line.intercept, _limits(line, float(np.abs(measured.differences).max()))
        explained, sentences = _explained(line, limits, measured)
        warnings += [*sentences, *_heavy(measured)]
    return LengthAdjustment(
        metric=metric,
        candidate=candidate,
        difference=difference,
        adjusted=adjusted,
        interval=limits,
        explained=explained,
        words_baseline=measured.words[0],
        words_candidate=measured.words[1],
        n=n,
        warnings=tuple(warnings),
    )


def _refusal(longer: Floats) -> str:
    """Why the data cannot say what happens at equal length; empty where they can."""
    n, wanted = longer.size, max(FEWEST / 2, SUPPORT * longer.size)
    if n < FEWEST:
        return f"{n} pairs are too few to adjust for length."
    at_least, at_most = int((longer >= 0).sum()), int((longer <= 0).sum())
    if at_least < wanted:
        return f"Only {at_least} of {n} answers are as long as the baseline's: the data do not show equal length."
    if at_most < wanted:
        return f"Only {at_most} of {n} answers are as short as the baseline's: the data do not show equal length."
    return ""


def _limits(line: Line, size: float) -> Interval:
    """The 95 % interval of the intercept; one point where the line goes through every pair."""
    if line.intercept_error <= ROUNDING * size:
        return Interval(line.intercept, line.intercept, 0.95, "no spread")
    return interval(StudentT(line.intercept, line.intercept_error, line.freedom, "HC3 t"), 0.95)


def _explained(line: Line, limits: Interval, measured: _Measured) -> tuple[float | None, list[str]]:
    """The share of the difference that goes with length, where the data tell it; and what to say of it."""
    from scipy.special import stdtrit

    estimate = of_mean(measured.differences)
    known = confidence(estimate, "t")
    assert known is not None
    raw, difference = interval(known, 0.95), estimate.value
    if raw.low <= 0 <= raw.high:
        return None, []
    if line.intercept * difference < 0 and not limits.low <= 0 <= limits.high:
        return None, ["At equal length the difference has the other sign."]
    reach = float(stdtrit(line.freedom, 0.975)) * line.slope_error * abs(float(measured.longer.mean()))
    if reach > WIDEST * abs(difference):
        return None, ["The data do not tell how much of the difference length explains."]
    return min(1 - line.intercept / difference, 1.0), []


def _heavy(measured: _Measured) -> list[str]:
    """A sentence where one pair makes most of the spread of lengths, and so the slope."""
    squares = (measured.longer - measured.longer.mean()) ** 2
    if not squares.sum() > 0 or squares.max() <= HEAVIEST * squares.sum():
        return []
    heaviest = int(squares.argmax())
    share = float(squares[heaviest] / squares.sum())
    return [f"Row {measured.ids[heaviest]} alone makes {share:.0%} of the spread of the differences in length."]
