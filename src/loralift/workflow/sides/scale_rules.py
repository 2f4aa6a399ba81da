"""Rules for a metric's scale: when two sides are on different scales, and which scale undeclared values have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median

from loralift.errors import ComparisonError
from loralift.records import MetricInfo
from loralift.workflow.sides.columns import like_ours
from loralift.workflow.sides.directions import Kind, direction_of

Scale = tuple[float, float]
"""Smallest and largest possible value; infinite where there is none."""

UNIT: Scale = (0.0, 1.0)
UNITS: dict[Kind, Scale] = {"signed": (-1.0, 1.0)}
RANGES: dict[Kind, Scale] = {"share": (0.0, 100.0), "signed": (-100.0, 100.0), "amount": (0.0, inf)}
"""The widest range of a metric of each kind, over all scales that it is written on."""

UNBOUNDED: frozenset[Kind] = frozenset({"open", "amount"})
"""Kinds of metrics whose values have no largest one."""

LIKELY: tuple[Scale, ...] = (UNIT, (-1.0, 1.0), (0.0, 100.0), (-100.0, 100.0))
SLACK = 1e-9
OTHER_UNIT = 20.0
"""From so many times the other side's typical value on, a side has another unit (milliseconds for seconds)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric on one side.

    Attributes:
        role: ``baseline`` or ``candidate``.
        side: The side's name in tables.
        values: The finite values.
        scale: As declared, or the metric's own where LoraLift made the values; None: not known.
    """

    role: str
    side: str
    values: tuple[float, ...]
    scale: Scale | None

    def within(self, scale: Scale) -> bool:
        """Whether every value lies on a scale, but for rounding."""
        low, high = scale
        slack = SLACK * max([abs(end) for end in scale if isfinite(end)], default=0.0)
        return all(low - slack <= value <= high + slack for value in self.values)

    @property
    def span(self) -> str:
        """The side's name and the range of its values, for messages."""
        return f"{min(self.values):.4g} to {max(self.values):.4g} in {self.side}"


Columns = tuple[Column, Column]


def own_scale(info: MetricInfo) -> Scale:
    """The metric's range, infinite where it has no end."""
    return -inf if info.low is None else info.low, inf if info.high is None else info.high


def undeclared(info: MetricInfo, columns: Columns) -> tuple[MetricInfo, tuple[str, ...]]:
    """Determine the scale of two columns for which none was declared.

    Returns:
        The metric with its range, and what a reader must know.

    Raises:
        ComparisonError: One side lies within 0 to 1 and the other does not, or a value is beyond the metric's range.
    """
    kind = direction_of(info.name).kind
    factor = _other_unit(columns) if kind in UNBOUNDED else 0.0
    one, other = (column.within(UNITS.get(kind, UNIT)) for column in columns)
    if one != other and any(columns[0 if one else 1].values) and (kind not in UNBOUNDED or factor):
        raise ComparisonError(_two_scales(info.name, columns))
    limits = RANGES.get(kind, (-inf, inf)) if like_ours(info.name) is None else own_scale(info)
    for column in columns:
        refuse_beyond(info.name, column, limits)
    if factor:
        times = f"The typical value of {info.name} is {factor:.3g} times the other's"
        return info, (f"{times} ({columns[0].span}, {columns[1].span}): are both in one unit?",)
    if limits == (0.0, 100.0) and like_ours(info.name) and one and other and any(map(any, (c.values for c in columns))):
        note = (
            f"All values of {info.name} lie within 0 to 1, so its scale is taken to be 0-1, not 0-100; "
            f"--scale {info.name}=0-100 says otherwise."
        )
        return replace(info, low=0.0, high=1.0, decimals=3), (note,)
    return info, ()


def completed(info: MetricInfo, columns: Columns) -> Columns:
    """Two columns of which one scale is known, with the scale of the other filled in.

    Raises:
        ComparisonError: The other scale cannot be determined, or values lie beyond it.
    """
    unknown = columns[0] if columns[0].scale is None else columns[1]
    known = columns[1] if unknown is columns[0] else columns[0]
    own = own_scale(info) if like_ours(info.name) else None
    unit = UNITS.get(direction_of(info.name).kind, UNIT)
    if own is None and not unknown.within(unit):
        remedy = f"--scale {unknown.role}:{info.name}=LOW-HIGH"
        raise ComparisonError(
            f"{info.name} is {unknown.span}: beside a declared scale of {known.side}, give {remedy} too"
        )
    if own == (0.0, 100.0) and unknown.within(UNIT) and any(unknown.values):
        raise ComparisonError(_two_scales(info.name, columns))
    if own is not None:
        refuse_beyond(info.name, unknown, own)
    found = replace(unknown, scale=own or unit)
    return (found, known) if unknown is columns[0] else (known, found)


def refuse_beyond(name: str, column: Column, limits: Scale) -> None:
    """Refuse values beyond a metric's range.

    Raises:
        ComparisonError: There is one; the message says how to declare another scale.
    """
    if not column.within(limits):
        raise ComparisonError(
            f"{name} is {column.span}, beyond its range of {written(limits)}: say the scale with "
            f"--scale {_remedy(name, column)}, or of both sides with {name}=LOW-HIGH; or rename the column; "
            "or write null where there is no value"
        )


def written(scale: Scale) -> str:
    """A scale in the form of `--scale`: LOW-HIGH."""
    return f"{scale[0]:g}-{scale[1]:g}"


def _two_scales(name: str, columns: Columns) -> str:
    return (
        f"{name} is {columns[0].span} and {columns[1].span}, which look like two scales: say each side's with "
        f"--scale {_remedy(name, columns[0])} --scale {_remedy(name, columns[1])}, "
        f"or --scale {name}=LOW-HIGH if it is one"
    )


def _remedy(name: str, column: Column) -> str:
    likely = next((written(scale) for scale in LIKELY if column.within(scale)), "LOW-HIGH")
    return f"{column.role}:{name}={likely}"


def _other_unit(columns: Columns) -> float:
    """How many times as large one side's typical value is, where that is too much for a change; else 0."""
    small, large = sorted(median(map(abs, column.values)) for column in columns)
    return large / small if small > 0 and large >= OTHER_UNIT * small else 0.0
