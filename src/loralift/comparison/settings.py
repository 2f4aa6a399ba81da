"""How to compare: one object for the comparison and for every further one (slices, ranking, rows without leaks)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from loralift import arguments
from loralift.comparison.intervals import Method
from loralift.errors import UsageError, wrong_argument
from loralift.records import MetricInfo

MOST_RESAMPLES = 1_000_000
"""More would take gigabytes, and tell no verdict from another."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to compare.

    Further comparisons (slices, rows that did not leak, ranking, modes of running) use the same object, so that their
    figures differ only by the rows.

    Attributes:
        primary: The metric that decides and whose hypotheses hold most of alpha; empty: all metrics alike.
        margins: Metric to equivalence margin, in the metric's unit, in place of ``MetricInfo.margin``.
        alpha: Family-wise error rate in (0, 1).
        seed: Seed of every resampling, non-negative.
        resamples: Number of bootstrap samples and of relabellings, from 100 to MOST_RESAMPLES.
        method: Method of the intervals; ``auto`` chooses one that holds its level (``docs/statistics.md``).
        own_margins: Metric to the margin that holds where none was declared, as `with_margins` finds it from the
            baseline's value; None: never equivalent. Metrics that are not in it have ``MetricInfo.margin``.

    Raises:
        UsageError: One of them is out of range.
    """

    primary: str = ""
    margins: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 0.05
    seed: int = 0
    resamples: int = 10_000
    method: Method = "auto"
    own_margins: Mapping[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, margin in arguments.mapping("margins", self.margins, "metric to margin").items():
            if isinstance(margin, str):
                raise UsageError(wrong_argument(f"margins[{name}]", "a positive number", margin))
            arguments.margin(f"margins[{name}]", margin, "a positive number")
        if not isinstance(self.primary, str):
            raise UsageError(wrong_argument("primary", "the name of a metric", self.primary))
        arguments.number("alpha", self.alpha, 0.0, 1 - 1e-9, "between 0 and 1", above=True)
        arguments.seed("seed", self.seed)
        arguments.whole_number("resamples", self.resamples, 100, MOST_RESAMPLES)
        if self.method not in get_args(Method):
            raise UsageError(wrong_argument("method", f"one of {', '.join(get_args(Method))}", self.method))

    def fit(self, infos: Mapping[str, MetricInfo]) -> None:
        """Make sure that no margin holds a metric's whole scale: no difference could be outside it.

        Raises:
            UsageError: One does; most likely it is meant for 0 to 100.
        """
        for name, margin in self.margins.items():
            info = infos.get(name)
            if info is not None and info.low is not None and info.high is not None and margin >= info.high - info.low:
                scale = f"{info.low:g} to {info.high:g}"
                raise UsageError(f"`margin` of {name} must be a small part of its scale of {scale}, got {margin:g}")

    def margin(self, info: MetricInfo) -> float | None:
        """The metric's equivalence margin: the one declared, else its own; None: never equivalent."""
        return self.margins.get(info.name, self.own_margins.get(info.name, info.margin))
