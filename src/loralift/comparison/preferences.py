"""A judge's preferences: a value of -1, 0 or 1 a question against 0, and how far they agree with others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from loralift.comparison.analysis import Case, analyse
from loralift.comparison.intervals import Wilson, interval
from loralift.comparison.pairing import pair, sample
from loralift.comparison.repeats import Clusters
from loralift.comparison.settings import Settings
from loralift.records import MetricAgreement, MetricComparison, MetricInfo, Score, tied


def compare_preferences(
    baseline: str,
    judged: Sequence[tuple[str, Sequence[Score]]],
    info: MetricInfo,
    settings: Settings,
    *,
    clusters: Clusters | None = None,
) -> list[MetricComparison]:
    """Each candidate's preferences against none at all: one family over all judges and candidates.

    Args:
        baseline: The variant that 0 stands for no preference against.
        judged: Candidate and its rows, each with the preference or, under ``unscored``, why there is none; a candidate
            once for each judge.
        info: Of the preference; its margin, or the one in ``settings``, holds as it is.
        settings: How to compare.
        clusters: Row id to question, where questions were answered several times.

    Returns:
        One row for each of ``judged``; the baseline's value is 0 where the candidate's is known.
    """
    cases = []
    for candidate, scores in judged:
        zeros = [Score(one.id, {info.name: None if one.values[info.name] is None else 0.0}) for one in scores]
        pairs = pair(zeros, scores, names=(baseline, candidate))
        cases.append(Case(baseline, candidate, info, sample(pairs, info, None, clusters), settings.margin(info)))
    return analyse(cases, settings)


def lower_bound(successes: int, trials: int) -> float:
    """Lower end of the 95 % Wilson interval of a share; 0 without trials.

    >>> round(lower_bound(29, 32), 4)
    0.7578
    """
    return interval(Wilson(successes, trials), 0.95).low if trials else 0.0


def agreement_with(
    preferences: Mapping[str, int],
    info: MetricInfo,
    baseline: Mapping[str, float | None],
    candidate: Mapping[str, float | None],
) -> MetricAgreement:
    """How often a metric prefers the answer that a judge prefers, of the rows on which both prefer one.

    Args:
        preferences: Row id to -1, 0 or 1.
        info: A judged metric.
        baseline: Row id to its value of the metric.
        candidate: Likewise.
    """
    sign = 1 if info.higher_is_better else -1
    n = agreed = 0
    for row, preference in preferences.items():
        before, after = baseline.get(row), candidate.get(row)
        if not preference or before is None or after is None or tied(before, after):
            continue
        n += 1
        agreed += (sign * (after - before) > 0) == (preference > 0)
    return MetricAgreement(info.name, n, agreed)


def cohens_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Agreement beyond chance of two raters of the same rows (Cohen, 1960); None where both say one thing alone.

    >>> round(cohens_kappa([1, 1, 0, 0], [1, 0, 0, 0]) or 0, 3)
    0.5
    """
    n = len(first)
    if not n:
        return None
    left, right = Counter(first), Counter(second)
    chance = sum(left[value] * right[value] for value in left) / n**2
    seen = sum(one == other for one, other in zip(first, second, strict=True)) / n
    return None if chance == 1 else (seen - chance) / (1 - chance)
