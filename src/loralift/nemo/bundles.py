"""What `nel compare`, `nel gate` and `nel report` read: one bundle a metric under `RUN/nemo/VARIANT/`.

`nel` looks at one reward a bundle, so each metric gets its own, with the metric as the reward. Rows that could not be
scored are left out of that metric's bundle: the SDK would count them as 0.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_evaluator.engine.artifacts import write_all
from nemo_evaluator.metrics.aggregation import summary_stats

from loralift.records import MetricInfo, MetricSummary, Score


def safe_name(name: str) -> str:
    """A benchmark's name as a folder: letters, digits, '.', '_' and '-' only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_") or "benchmark"


def write_bundles(
    directory: Path,
    bundle: Mapping[str, Any],
    scores: Sequence[Score],
    summaries: Mapping[str, MetricSummary],
    metrics: Mapping[str, MetricInfo],
    clusters: Callable[[str], str] | None = None,
) -> list[Path]:
    """Write one bundle a metric, in place of those of an earlier run.

    Args:
        directory: `RUN/nemo/VARIANT`.
        bundle: What `run_evaluation` returned for this variant.
        scores: One a row, in the order of the environment's rows.
        summaries: Metric name to its aggregate.
        metrics: Metric name to what is known of it; descriptive metrics get no bundle.
        clusters: Row id to question, where questions were answered several times: the SDK's repeats.

    Returns:
        The bundle files, `BENCH.METRIC/eval-BENCH.METRIC.json`.
    """
    benchmark = safe_name(bundle["benchmark"]["name"])
    if directory.exists():
        shutil.rmtree(directory)
    written = []
    for name, info in metrics.items():
        if info.higher_is_better is None:
            continue
        of_metric = _bundle_of(bundle, f"{benchmark}.{name}", name, scores, summaries[name], clusters or str)
        written.append(write_all(of_metric, directory / f"{benchmark}.{name}")["bundle"])
    return written


def score_entry(summary: MetricSummary) -> dict[str, Any]:
    """A summary as the SDK's reports spell a score."""
    entry: dict[str, Any] = {"value": summary.value, "total": summary.n}
    if summary.interval is not None:
        entry |= {"ci_lower": summary.interval.low, "ci_upper": summary.interval.high}
    return entry


def _bundle_of(
    bundle: Mapping[str, Any],
    name: str,
    metric: str,
    scores: Sequence[Score],
    summary: MetricSummary,
    question_of: Callable[[str], str],
) -> dict[str, Any]:
    """The run's bundle as if this metric alone had been its reward."""
    rows = []
    places = _places([question_of(score.id) for score in scores])
    for row in sorted(bundle["_results"], key=lambda row: row["problem_idx"]):
        value = scores[row["problem_idx"]].values.get(metric)
        if value is not None:
            details = {"method": f"loralift_{metric}", metric: value}
            problem, repeat = places[row["problem_idx"]]
            rows.append({**row, "problem_idx": problem, "repeat": repeat, "reward": value, "scoring_details": details})
    run_scores = bundle["benchmark"]["scores"]
    return {
        **{key: value for key, value in bundle.items() if not key.startswith("_")},
        # A stable name: a second eval-*.json in the folder would make `nel compare` refuse it.
        "run_id": f"eval-{name}",
        "n_results": len(rows),
        "benchmark": {
            "name": name,
            "samples": len({row["problem_idx"] for row in rows}),
            "repeats": 1 + max((row["repeat"] for row in rows), default=0),
            "scores": {
                "mean_reward": score_entry(summary),
                "summary": summary_stats([row["reward"] for row in rows]),
                "runtime": run_scores.get("runtime", {}),
                "failures": run_scores.get("failures", {}),
            },
        },
        "_results": rows,
    }


def _places(questions: Sequence[str]) -> list[tuple[int, int]]:
    """Each row's (question's number, which answer to it), as the SDK pairs rows."""
    numbers: dict[str, int] = {}
    asked: Counter[str] = Counter()
    places = []
    for question in questions:
        places.append((numbers.setdefault(question, len(numbers)), asked[question]))
        asked[question] += 1
    return places
