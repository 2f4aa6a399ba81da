"""Write what `nel compare`, `nel gate` and `nel report` read: a bundle for each metric in `RUN/nemo/VARIANT/`.

`nel` reads one reward from a bundle, so each metric gets its own, with the metric as the reward. Rows that could not be
scored are left out of that metric's bundle: the SDK would count them as 0.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nemo_evaluator.engine.artifacts import write_all
from nemo_evaluator.metrics.aggregation import summary_stats

from loralift.records import MetricInfo, MetricSummary, Score

OWN = ("problem_idx", "repeat", "reward", "scoring_details", "extracted_answer", "latency_ms")
"""The keys of a row that differ between the metrics' bundles; the extracted answer, which repeats the answer; and the
time, which is in the bundle's runtime: rows hold none, so that equal runs have equal files."""


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
    """Write a bundle for each metric, replacing those of an earlier run.

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
    judged = [name for name, info in metrics.items() if info.higher_is_better is not None]
    rows = sorted(bundle["_results"], key=lambda row: row["problem_idx"])
    places = _places([(clusters or str)(scores[row["problem_idx"]].id) for row in rows])
    written = []
    for name in judged:
        scored = [place for place, row in zip(places, rows, strict=True) if _value(scores, row, name) is not None]
        rewards = [value for row in rows if (value := _value(scores, row, name)) is not None]
        of_metric = _bundle_of(bundle, f"{benchmark}.{name}", scored, rewards, summaries[name])
        written.append(write_all(of_metric, directory / f"{benchmark}.{name}")["bundle"])
    _write_results([path.parent / "results.jsonl" for path in written], judged, rows, places, scores)
    return written


def score_entry(summary: MetricSummary) -> dict[str, Any]:
    """A summary in the form of a score in the SDK's reports."""
    entry: dict[str, Any] = {"value": summary.value, "total": summary.n}
    if summary.interval is not None:
        entry |= {"ci_lower": summary.interval.low, "ci_upper": summary.interval.high}
    return entry


def _value(scores: Sequence[Score], row: Mapping[str, Any], metric: str) -> float | None:
    position: int = row["problem_idx"]
    return scores[position].values.get(metric)


def _bundle_of(
    bundle: Mapping[str, Any],
    name: str,
    places: Sequence[tuple[int, int]],
    rewards: Sequence[float],
    summary: MetricSummary,
) -> dict[str, Any]:
    """The run's bundle without its rows, with one metric as its reward."""
    run_scores = bundle["benchmark"]["scores"]
    return {
        **{key: value for key, value in bundle.items() if not key.startswith("_")},
        # A stable name: a second eval-*.json in the folder would make `nel compare` refuse it.
        "run_id": f"eval-{name}",
        "n_results": len(rewards),
        "benchmark": {
            "name": name,
            "samples": len({problem for problem, _ in places}),
            "repeats": 1 + max((repeat for _, repeat in places), default=0),
            "scores": {
                "mean_reward": score_entry(summary),
                "summary": summary_stats(list(rewards)),
                "runtime": run_scores.get("runtime", {}),
                "failures": run_scores.get("failures", {}),
            },
        },
    }


def _write_results(
    paths: Sequence[Path],
    metrics: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[int, int]],
    scores: Sequence[Score],
) -> None:
    """Write all metrics' results.jsonl; the texts of a row, which they share, are converted to JSON once."""
    with ExitStack() as stack:
        opened = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        for row, (problem, repeat) in zip(rows, places, strict=True):
            shared = json.dumps({key: value for key, value in row.items() if key not in OWN}, default=str)
            for metric, file in zip(metrics, opened, strict=True):
                value = _value(scores, row, metric)
                if value is not None:
                    details = {"method": f"loralift_{metric}", metric: value}
                    own = {"problem_idx": problem, "repeat": repeat, "reward": value, "scoring_details": details}
                    file.write(f"{json.dumps(own)[:-1]}, {shared[1:]}\n")


def _places(questions: Sequence[str]) -> list[tuple[int, int]]:
    """Each row's (question's number, which answer to it), as the SDK pairs rows."""
    numbers: dict[str, int] = {}
    asked: Counter[str] = Counter()
    places = []
    for question in questions:
        places.append((numbers.setdefault(question, len(numbers)), asked[question]))
        asked[question] += 1
    return places
