"""Write what `nel compare`, `nel gate` and `nel report` read: a bundle for each metric in `RUN/nemo/VARIANT/`.

`nel` reads one reward from a bundle, so each metric gets its own, with the metric as the reward. Rows that could not be
scored are left out of that metric's bundle: the SDK would count them as 0.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np
from nemo_evaluator.engine.artifacts import write_all
from nemo_evaluator.metrics.aggregation import summary_stats
from numpy.typing import NDArray

from loralift.records import Ids, MetricInfo, MetricSummary, Scores

AT_ONCE = 1_000
"""Rows of which all metrics' lines are written before the next ones."""

OWN = ("problem_idx", "repeat", "reward", "scoring_details", "extracted_answer", "latency_ms")
"""The keys of a row that differ between the metrics' bundles; the extracted answer, which repeats the answer; and the
time, which is in the bundle's runtime: rows hold none, so that equal runs have equal files."""


def safe_name(name: str) -> str:
    """A benchmark's name as a folder: letters, digits, '.', '_' and '-' only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_") or "benchmark"


def write_bundles(
    directory: Path,
    bundle: Mapping[str, Any],
    scores: Scores,
    summaries: Mapping[str, MetricSummary],
    metrics: Mapping[str, MetricInfo],
    clusters: Callable[[str], str] | None = None,
) -> list[Path]:
    """Write a bundle for each metric, replacing those of an earlier run.

    Args:
        directory: `RUN/nemo/VARIANT`.
        bundle: What `score_recorded` returned for this variant.
        scores: One a row, in their order.
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
    places = _places(scores.ids, clusters)
    written = []
    for name in judged:
        values = scores.values(name)
        scored = ~np.isnan(values)
        of_metric = _bundle_of(bundle, f"{benchmark}.{name}", places[scored], values[scored].tolist(), summaries[name])
        written.append(write_all(of_metric, directory / f"{benchmark}.{name}")["bundle"])
    _write_results([path.parent / "results.jsonl" for path in written], judged, bundle["_results"], places, scores)
    return written


def shared(row: Mapping[str, Any]) -> str:
    """What the bundles of all metrics say of a row, as JSON without its opening brace."""
    return json.dumps({key: value for key, value in row.items() if key not in OWN}, default=str)[1:]


def score_entry(summary: MetricSummary) -> dict[str, Any]:
    """A summary in the form of a score in the SDK's reports."""
    entry: dict[str, Any] = {"value": summary.value, "total": summary.n}
    if summary.interval is not None:
        entry |= {"ci_lower": summary.interval.low, "ci_upper": summary.interval.high}
    return entry


def _bundle_of(
    bundle: Mapping[str, Any],
    name: str,
    places: NDArray[np.int64],
    rewards: list[float],
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
            "samples": len(np.unique(places[:, 0])),
            "repeats": 1 + int(places[:, 1].max(initial=0)),
            "scores": {
                "mean_reward": score_entry(summary),
                "summary": summary_stats(rewards),
                "runtime": run_scores.get("runtime", {}),
                "failures": run_scores.get("failures", {}),
            },
        },
    }


def _write_results(
    paths: Sequence[Path], metrics: Sequence[str], rows: Iterable[str], places: NDArray[np.int64], scores: Scores
) -> None:
    """Write all metrics' results.jsonl; the texts of a row, which they share, were converted to JSON once."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        columns = {name: scores.values(name) for name in metrics}
        for first, some in enumerate(batched(rows, AT_ONCE)):
            here = slice(first * AT_ONCE, first * AT_ONCE + len(some))
            numbered = places[here].tolist()
            for (metric, column), file in zip(columns.items(), files, strict=True):
                for row, (problem, repeat), value in zip(some, numbered, column[here].tolist(), strict=True):
                    if not math.isnan(value):
                        details = {"method": f"loralift_{metric}", metric: value}
                        own = {"problem_idx": problem, "repeat": repeat, "reward": value, "scoring_details": details}
                        file.write(f"{json.dumps(own)[:-1]}, {row}\n")


def _places(ids: Ids, clusters: Callable[[str], str] | None) -> NDArray[np.int64]:
    """Each row's (question's number, which answer to it), as the SDK pairs rows, shape (n, 2)."""
    places = np.zeros((len(ids), 2), dtype=np.int64)
    places[:, 0] = np.arange(len(ids))
    if clusters is not None:
        numbers: dict[str, int] = {}
        asked: Counter[str] = Counter()
        for place, question in enumerate(map(clusters, ids)):
            places[place] = numbers.setdefault(question, len(numbers)), asked[question]
            asked[question] += 1
    return places
