"""The material of findings: the figures of a sentence with the expressions they come from; a candidate's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from loralift.records import (
    AdapterProof,
    Comparison,
    Confounds,
    Finding,
    Interval,
    MetricComparison,
    MetricInfo,
    MetricSummary,
    Protocols,
)
from loralift.reporting import formatting

DECIDED = ("better", "worse")


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of one sentence; each method formats one and stores it under its expression (path)."""

    figures: dict[str, float | str] = field(default_factory=dict)

    def value(self, path: str, number: float, info: MetricInfo) -> str:
        """A metric's value."""
        self.figures[path] = number
        return formatting.value(number, info)

    def size(self, path: str, number: float, info: MetricInfo) -> str:
        """A difference without its sign."""
        self.figures[path] = number
        return formatting.value(abs(number), info)

    def difference(self, path: str, number: float, info: MetricInfo) -> str:
        """A difference with its sign."""
        self.figures[path] = number
        return formatting.difference(number, info)

    def interval(self, path: str, bounds: Interval | None, info: MetricInfo) -> str:
        """An interval with a space before it; empty where there is none."""
        if bounds is None:
            return ""
        self.figures.update({f"{path}.low": bounds.low, f"{path}.high": bounds.high})
        return f" {formatting.interval(bounds, info)}"

    def count(self, path: str, number: int) -> str:
        """A number of rows."""
        self.figures[path] = number
        return f"{number:,}"

    def percent(self, path: str, share: float) -> str:
        """A share, or a change, without its sign."""
        self.figures[path] = share
        return formatting.percent(share)

    def small(self, path: str, number: float) -> str:
        """A number near 0 with two significant digits, never as a power of ten."""
        self.figures[path] = number
        return f"{Decimal(f'{number:.2g}'):f}"

    def text(self, path: str, text: str) -> str:
        """A word or name."""
        self.figures[path] = text
        return text

    def moved(self, path: str, row: MetricComparison, info: MetricInfo) -> str:
        """``rose by 0.021 [+0.013, +0.029], from 0.180 to 0.201``."""
        difference = row.difference or 0.0
        verb = "rose" if difference > 0 else "fell" if difference < 0 else "moved"
        words = f"{verb} by {self.size(f'{path}.difference', difference, info)}"
        words += self.interval(f"{path}.interval", row.interval, info)
        if row.baseline_value is not None and row.candidate_value is not None:
            words += f", from {self.value(f'{path}.baseline_value', row.baseline_value, info)}"
            words += f" to {self.value(f'{path}.candidate_value', row.candidate_value, info)}"
        return words

    def info(self, text: str) -> Finding:
        """The sentence with its figures."""
        return Finding(text, self.figures)

    def finding(self, text: str, *, doubtful: bool) -> Finding:
        """The sentence with its figures; a warning where it puts a verdict in doubt."""
        return Finding(text, self.figures, "warning" if doubtful else "info")


@dataclass(frozen=True, slots=True)
class Case:
    """Everything about one candidate."""

    comparison: Comparison
    summaries: Mapping[str, Mapping[str, MetricSummary]]
    confounds: Confounds
    proofs: Sequence[AdapterProof]
    candidate: str
    protocols: Protocols | None = None

    @property
    def rows(self) -> dict[str, tuple[str, MetricComparison]]:
        """Metric to path and row."""
        return {
            row.metric: (f"rows[{position}]", row)
            for position, row in enumerate(self.comparison.rows)
            if row.candidate == self.candidate
        }

    @property
    def primary(self) -> tuple[str, MetricComparison, MetricInfo]:
        """Path, row and metric that decide."""
        path, row = self.rows[self.comparison.primary]
        return path, row, self.comparison.metrics[row.metric]

    @property
    def verdict(self) -> str | None:
        """The primary metric's verdict; None where there is none."""
        return self.primary[1].verdict

    @property
    def decided(self) -> bool:
        """Whether the candidate is better or worse."""
        return self.verdict in DECIDED

    @property
    def established(self) -> bool:
        """Whether the verdict claims anything."""
        return self.verdict not in (None, "inconclusive")
