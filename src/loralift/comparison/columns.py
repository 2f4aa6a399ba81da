"""Divide the rows into a few parts (slices) by a column of the data: numbers in thirds, all else by value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loralift.comparison.pairing import Floats
from loralift.records import Plain

THIRDS = (1 / 3, 2 / 3)

MOST_VALUES = 12
"""Most different values of a column of texts; with more it is left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """The rows of one column, by part.

    Attributes:
        parts: Labels, in order: numbers ascending, words alphabetically, false before true.
        part_of: Row id to label; rows without a value are not in it.
    """

    parts: tuple[str, ...]
    part_of: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns with their parts, and those that were left out.

    Attributes:
        columns: Name to parts, in the order given.
        left_out: Name of each other column to why.
    """

    columns: Mapping[str, Column]
    left_out: Mapping[str, str]


def cut_columns(values: Mapping[str, Mapping[str, Plain]]) -> Columns:
    """Cut columns into parts.

    Numbers are cut after the values that come nearest to one and two thirds of the rows; equal numbers stay together,
    so the parts may be uneven, or two. Numbers with up to three values, and all else, are divided by value. The rows'
    order does not matter.

    Args:
        values: Column to row id to value; None and NaN count as no value.

    Returns:
        The parts; columns with one value only, with none, or with more than 12 that are not all numbers are left out.
    """
    columns, left_out = {}, {}
    for name, column in values.items():
        present = {row: value for row, value in column.items() if not _missing(value)}
        cut = _cut(present)
        if isinstance(cut, str):
            left_out[name] = cut
        else:
            columns[name] = cut
    return Columns(columns, left_out)


def _missing(value: Plain) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _cut(present: Mapping[str, Plain]) -> Column | str:
    """The column's parts, or why it has none."""
    numbers = {row: float(v) for row, v in present.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    different = len(set(numbers.values())) if len(numbers) == len(present) else 0
    if different > len(THIRDS) + 1:
        return _thirds(numbers)
    label = {row: _number(numbers[row]) if different else _word(value) for row, value in present.items()}
    labels = set(label.values())
    if len(labels) < 2:
        return "every row has the same value" if labels else "no row has a value"
    if len(labels) > MOST_VALUES:
        return f"{len(labels)} different values, more than {MOST_VALUES}"
    ordered = sorted(labels, key=float) if different else sorted(labels)
    return Column(tuple(ordered), label)


def _thirds(numbers: Mapping[str, float]) -> Column:
    """Numbers, of at least four values, in two or three parts."""
    values = np.array(list(numbers.values()))
    distinct, counts = np.unique(values, return_counts=True)
    below = (np.cumsum(counts) / values.size)[:-1]
    uppers = distinct[sorted({int(np.abs(below - third).argmin()) for third in THIRDS})]
    labels = _labels(uppers, whole=bool((distinct == np.floor(distinct)).all()))
    which = np.searchsorted(uppers, values, side="left")
    return Column(labels, {row: labels[part] for row, part in zip(numbers, which, strict=True)})


def _labels(uppers: Floats, *, whole: bool) -> tuple[str, ...]:
    """What to call the parts that end at each of the upper values, and the one beyond the last."""
    ends = _distinct(uppers)
    if not whole:
        between = [f"above {low} to {high}" for low, high in pairwise(ends)]
        return (f"up to {ends[0]}", *between, f"above {ends[-1]}")
    starts = [_number(upper + 1) for upper in uppers]
    between = [low if low == high else f"{low} to {high}" for low, high in zip(starts, ends[1:], strict=False)]
    return (f"up to {ends[0]}", *between, f"{starts[-1]} and more")


def _distinct(uppers: Sequence[float] | Floats) -> list[str]:
    """Numbers written with the fewest digits, at least four, by which they differ."""
    for digits in (4, 8):
        written = [_number(float(upper), digits) for upper in uppers]
        if len(set(written)) == len(written):
            return written
    return [repr(float(upper)) for upper in uppers]


def _number(value: float, digits: int = 17) -> str:
    """Whole numbers without a point."""
    return str(int(value)) if value == int(value) else f"{value:.{digits}g}" if digits < 17 else repr(float(value))


def _word(value: Plain) -> str:
    """As JSON writes it, but for the quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
