"""The third stage: scores on both sides become verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loralift.comparison import compare
from loralift.metrics import METRICS
from loralift.records import Comparison, MetricInfo, Score, SdkPairedTest
from loralift.workflow import files
from loralift.workflow.codec import decode, plain
from loralift.workflow.run_directory import RunDirectory


def compare_scores(
    baseline: tuple[str, Sequence[Score]],
    candidates: Mapping[str, Sequence[Score]],
    metrics: Mapping[str, MetricInfo],
    *,
    primary: str,
    margins: Mapping[str, float],
    seed: int = 0,
    resamples: int = 10_000,
) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Compare every candidate with the baseline, by our tests and by the SDK's.

    Args:
        baseline: Its name and its scores.
        candidates: Candidate to its scores.
        metrics: What to compare.
        primary: The metric that decides.
        margins: Metric to equivalence margin, where it is not the metric's own.
        seed: Of every resampling.
        resamples: Bootstrap samples and sign flips.

    Raises:
        ComparisonError: Nothing can be paired.
    """
    from loralift.nemo.paired_tests import sdk_paired_tests

    name, scores = baseline
    aggregates = {
        metric: aggregate
        for metric in metrics
        if metric in METRICS and (aggregate := METRICS[metric].aggregate) is not None
    }
    comparison = compare(
        name,
        scores,
        candidates,
        metrics,
        primary=primary,
        aggregates=aggregates,
        margins=margins,
        seed=seed,
        resamples=resamples,
    )
    return comparison, sdk_paired_tests(scores, candidates, metrics)


def write_comparison(directory: RunDirectory, comparison: Comparison, tests: Sequence[SdkPairedTest]) -> None:
    """Write comparison.json."""
    files.write_json(directory.comparison, comparison_document(comparison, tests))


def comparison_document(comparison: Comparison, tests: Sequence[SdkPairedTest]) -> dict[str, object]:
    """The comparison as comparison.json holds it."""
    return {**plain(comparison), "nemo_evaluator": plain(tests)}


def read_comparison(directory: RunDirectory) -> tuple[Comparison, tuple[SdkPairedTest, ...]]:
    """Read comparison.json.

    Raises:
        RunDirectoryError: It is damaged.
    """
    document = files.read_json(directory.comparison)
    tests = document.pop("nemo_evaluator", [])
    return decode(Comparison, document), tuple(decode(SdkPairedTest, test) for test in tests)
