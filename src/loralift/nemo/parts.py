"""One bundle of rows that NeMo Evaluator was given in parts, since it keeps three copies of every row."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nemo_evaluator.observability.types import FailureRecord, FailureReport, RuntimeStats

from loralift.kept import joined

SUMMED = (
    *("total_steps", "total_tokens", "total_prompt_tokens", "total_completion_tokens", "total_reasoning_tokens"),
    *("elapsed_seconds", "model_errors", "total_retries"),
)


class Together:
    """The bundle of all parts, as one run of `run_evaluation` over all rows would have made it.

    Attributes:
        results: What it says of each row, in their order, as JSON, in one sequence or several.
    """

    def __init__(self) -> None:
        self.results: list[Sequence[str]] = []
        self._first: dict[str, Any] = {}
        self._rows = 0
        self._runtime, self._failures = RuntimeStats(), FailureReport()
        self._latencies = array("d")

    def add(self, bundle: Mapping[str, Any]) -> None:
        """One part, behind those before it; ``results`` are the caller's."""
        artifacts = bundle["_artifacts"]
        self._first = self._first or {key: value for key, value in bundle.items() if not key.startswith("_")}
        self._add_runtime(artifacts.runtime)
        self._latencies.extend(step.model_ms for step in artifacts.steps if step.model_response)
        self._add_failures(artifacts.failures)
        self._rows += bundle["n_results"]

    def extend(self, other: Together) -> None:
        """All parts of another, behind those that are here."""
        self._first = self._first or other._first
        self._add_runtime(other._runtime)
        self._latencies.extend(other._latencies)
        self._add_failures(other._failures)
        self._rows += other._rows
        self.results += other.results

    def bundle(self) -> dict[str, Any]:
        """Of all parts, with ``_results``; without the reward's own figures, which are of the first."""
        runtime, failures = self._runtime, self._failures
        if self._latencies:
            of = (50, 90, 99)
            p50, p90, p99 = (float(np.percentile(np.array(self._latencies), level)) for level in of)
            runtime.latency_p50_ms, runtime.latency_p90_ms, runtime.latency_p99_ms = p50, p90, p99
        if runtime.elapsed_seconds > 0:
            runtime.tokens_per_second = runtime.total_tokens / runtime.elapsed_seconds
            runtime.steps_per_second = runtime.total_steps / runtime.elapsed_seconds
        for record in failures.categories.values():
            record.percentage = record.count / failures.total_steps
        config, benchmark = dict(self._first["config"]), dict(self._first["benchmark"])
        if "shuffle" in config:
            config["shuffle"] = config["shuffle"] | {"ds_full_size": self._rows, "ds_effective_size": self._rows}
        figures = {"runtime": runtime.to_dict(), "failures": failures.to_dict()}
        benchmark |= {"samples": self._rows, "scores": benchmark["scores"] | figures}
        whole = {**self._first, "config": config, "benchmark": benchmark, "n_results": self._rows}
        return {**whole, "_results": joined(self.results)}

    def _add_runtime(self, part: RuntimeStats) -> None:
        whole = self._runtime
        for name in SUMMED:
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        for reason, count in part.finish_reason_counts.items():
            whole.finish_reason_counts[reason] = whole.finish_reason_counts.get(reason, 0) + count

    def _add_failures(self, part: FailureReport) -> None:
        whole = self._failures
        whole.total_steps += part.total_steps
        whole.total_failures += part.total_failures
        for name, of in part.categories.items():
            record = whole.categories.setdefault(name, FailureRecord(name))
            record.count += of.count
            # the part's first row is the `_rows`-th of all
            record.exemplars += [{**one, "problem_idx": one["problem_idx"] + self._rows} for one in of.exemplars]
