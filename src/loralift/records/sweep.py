"""Several adapters of one training, or of one search: where they stand on a curve, and what is known of the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loralift.records.figures import MetricComparison


@dataclass(frozen=True, slots=True)
class Axis:
    """A number by which the adapters differ.

    Attributes:
        field: ``step``, ``epoch``, or a field of their configurations, such as ``r``.
        values: Adapter to its number; one that has none is not in it.
    """

    field: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BestOf:
    """What is known of the best of K adapters on the metric that decides.

    Attributes:
        among: The adapters, in their order.
        leader: The one with the best value on all rows that every adapter and the baseline have.
        chosen: The best on the second half of the questions, judged on the first, and the other way round.
        row: The baseline against what was chosen on the other half: the choice is paid for.
        widening: Factor, at least 1, on the rows' spread, since the two halves choose for each other.
        p_values: Adapter to the p value of "it is the best, or as good"; small: some other one is better.
        contenders: The adapters that may be the best: with 95 % confidence the best one is among them.
    """

    among: tuple[str, ...]
    leader: str
    chosen: tuple[str, str]
    row: MetricComparison
    widening: float
    p_values: Mapping[str, float]
    contenders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Three or more adapters that differ in a number.

    Attributes:
        axes: By what they differ, the step first.
        best: None where it cannot be judged; a note then says why.
        notes: What a reader must know, one sentence each.
    """

    axes: tuple[Axis, ...]
    best: BestOf | None = None
    notes: tuple[str, ...] = ()
