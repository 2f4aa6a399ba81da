"""The SDK's own paired tests, in addition to ours.

Only what is valid for a continuous metric is used: the test and its p value, in both directions, each at alpha / 2.
The SDK's verdict is not used: with its defaults an all-positive metric that falls from 0.70 to 0.49 is a "PASS".
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loralift.records import LARGEST, MetricInfo, Score, Scores, SdkPairedTest
from loralift.versions import installed

# The SDK's permutation test holds 10,000 sign flips of every pair at once: about 160 KB a pair.
MOST_PAIRS = 5_000
FEWEST_PAIRS = 10

NOT_INSTALLED = "not run: NeMo Evaluator is not installed: pip install 'loralift[run]'"

Records = dict[tuple[int, int], dict[str, float]]


def sdk_paired_tests(
    baseline: Sequence[Score],
    candidates: Mapping[str, Sequence[Score]],
    metrics: Mapping[str, MetricInfo],
    clusters: Callable[[str], str] | None = None,
) -> tuple[SdkPairedTest, ...]:
    """Run `compare_results` for every candidate and judged metric, for degradation and for improvement.

    Args:
        baseline: The baseline's scores.
        candidates: Candidate to its scores.
        metrics: Metric name to what is known of it; descriptive metrics are skipped.
        clusters: Row id to question, where questions were answered several times; the SDK averages them.

    Returns:
        One result a candidate and metric; where the test could not be run its note says why.
    """
    baseline = Scores.of(baseline)
    return tuple(
        _paired_test(name, info, baseline, scores, clusters)
        for name, scores in [(name, Scores.of(rows)) for name, rows in candidates.items()]
        for info in metrics.values()
        if info.higher_is_better is not None
    )


def _paired_test(
    candidate: str,
    info: MetricInfo,
    baseline: Scores,
    scores: Scores,
    question_of: Callable[[str], str] | None,
) -> SdkPairedTest:
    places = baseline.ids.places_of(scores.ids)
    base, other = np.where(places < 0, np.nan, baseline.values(info.name)[places]), scores.values(info.name)
    # values that our own comparison takes: neither NaN nor infinite
    both = (np.abs(base) <= LARGEST) & (np.abs(other) <= LARGEST)
    ids = scores.ids.take(both)
    n = len(ids) if question_of is None else len(set(map(question_of, ids)))
    if not FEWEST_PAIRS <= n <= MOST_PAIRS:
        note = f"not run: {n} pairs, and it is sound and affordable from {FEWEST_PAIRS} to {MOST_PAIRS}"
        return SdkPairedTest(metric=info.name, candidate=candidate, n=n, note=note)
    if not installed("nemo_evaluator"):
        return SdkPairedTest(metric=info.name, candidate=candidate, n=n, note=NOT_INSTALLED)
    questions = [*map(question_of or str, ids)]
    sign = 1.0 if info.higher_is_better else -1.0
    before, after = (_records(questions, (sign * of[both]).tolist()) for of in (base, other))
    down, up = _one_sided(before, after), _one_sided(after, before)
    return SdkPairedTest(
        metric=info.name,
        candidate=candidate,
        n=n,
        test=down["test"],
        p_degradation=down["p_value"],
        p_improvement=up["p_value"],
    )


def _records(questions: Sequence[str], rewards: Sequence[float]) -> Records:
    """The SDK's records: (question, repeat) to reward."""
    rows: dict[str, int] = {}
    repeats: Counter[str] = Counter()
    records = {}
    for question, reward in zip(questions, rewards, strict=True):
        row = rows.setdefault(question, len(rows))
        records[row, repeats[question]] = {"reward": reward}
        repeats[question] += 1
    return records


def _one_sided(before: Records, after: Records) -> dict[str, Any]:
    """The SDK's test of whether `after` is worse than `before`."""
    from nemo_evaluator.engine.comparison import compare_results

    rewards = [record["reward"] for record in before.values()]
    binary = {*rewards, *(record["reward"] for record in after.values())} <= {0.0, 1.0}
    threshold = 0.5 if binary else statistics.median(rewards)
    report = compare_results(before, after, reward_threshold=threshold, alpha=0.025)
    test = str(report["test_used"])
    result = report.get("mcnemar" if test == "mcnemar" else "permutation_test", {})
    return {"test": test, "p_value": result.get("p_value")}
