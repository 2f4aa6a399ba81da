"""The SDK's own paired tests, run beside ours.

Only what is sound for a continuous metric is used: the test and its p value, in both directions, each at alpha / 2.
The SDK's verdict is left alone: with its defaults an all-positive metric that falls from 0.70 to 0.49 is a "PASS".
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_evaluator.engine.comparison import compare_results

from loralift.records import MetricInfo, Score, SdkPairedTest

# The SDK's permutation test holds 10,000 sign flips of every pair at once: about 160 KB a pair.
MOST_PAIRS = 5_000
FEWEST_PAIRS = 10


def sdk_paired_tests(
    baseline: Sequence[Score], candidates: Mapping[str, Sequence[Score]], metrics: Mapping[str, MetricInfo]
) -> tuple[SdkPairedTest, ...]:
    """Run `compare_results` for every candidate and judged metric, for degradation and for improvement.

    Args:
        baseline: The baseline's scores.
        candidates: Candidate to its scores.
        metrics: Metric name to what is known of it; descriptive metrics are passed over.

    Returns:
        One result a candidate and metric; where the test could not be run soundly its note says why.
    """
    return tuple(
        _paired_test(name, info, baseline, scores)
        for name, scores in candidates.items()
        for info in metrics.values()
        if info.higher_is_better is not None
    )


def _paired_test(candidate: str, info: MetricInfo, baseline: Sequence[Score], scores: Sequence[Score]) -> SdkPairedTest:
    base_values = {score.id: score.values.get(info.name) for score in baseline}
    pairs = [
        (base, other)
        for score in scores
        if (base := base_values.get(score.id)) is not None and (other := score.values.get(info.name)) is not None
    ]
    n = len(pairs)
    if not FEWEST_PAIRS <= n <= MOST_PAIRS:
        note = f"not run: {n} pairs, and it is sound and affordable from {FEWEST_PAIRS} to {MOST_PAIRS}"
        return SdkPairedTest(metric=info.name, candidate=candidate, n=n, note=note)
    sign = 1.0 if info.higher_is_better else -1.0
    before = [sign * pair[0] for pair in pairs]
    after = [sign * pair[1] for pair in pairs]
    down, up = _one_sided(before, after), _one_sided(after, before)
    return SdkPairedTest(
        metric=info.name,
        candidate=candidate,
        n=n,
        test=down["test"],
        p_degradation=down["p_value"],
        p_improvement=up["p_value"],
    )


def _one_sided(before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
    """The SDK's test of whether `after` is worse than `before`."""
    binary = {*before, *after} <= {0.0, 1.0}
    report = compare_results(
        {(row, 0): {"reward": value} for row, value in enumerate(before)},
        {(row, 0): {"reward": value} for row, value in enumerate(after)},
        reward_threshold=0.5 if binary else statistics.median(before),
        alpha=0.025,
    )
    test = str(report["test_used"])
    result = report.get("mcnemar" if test == "mcnemar" else "permutation_test", {})
    return {"test": test, "p_value": result.get("p_value")}
