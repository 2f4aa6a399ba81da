"""Divide the rows into a few parts (slices) by a column of the data: numbers in thirds, all else by value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from loralift.comparison.pairing import Floats
from loralift.comparison.repeats import Clusters
from loralift.records import ById, Ids, Plain

THIRDS = (1 / 3, 2 / 3)

MOST_VALUES = 12
"""Most different values of a column of texts; with more it is left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """The rows of one column, by part.

    Attributes:
        parts: Labels, in order: numbers ascending, words alphabetically, false before true.
        ids: Of the rows that have a value.
        numbers: Which part each of them is in, shape (n,).
    """

    parts: tuple[str, ...]
    ids: Ids
    numbers: NDArray[np.int64]

    @property
    def part_of(self) -> Mapping[str, str]:
        """Row id to label; rows without a value are not in it."""
        return ById(self.ids, _Labels(self.parts, self.numbers))

    def numbers_of(self, rows: Sequence[str], clusters: Clusters | None = None) -> NDArray[np.int64]:
        """Which part each row is in, by its own value or by its question's, shape (m,); -1: in none."""
        asked = Ids.of(rows)
        places = self.ids.places_of(asked)
        if clusters is not None and (places < 0).any():
            questions = Ids.of(clusters(row) for row in asked.take(places < 0))
            places[places < 0] = self.ids.places_of(questions)
        return np.where(places < 0, -1, self.numbers[places])


class _Labels(Sequence[str]):
    """The label of each row."""

    def __init__(self, parts: Sequence[str], numbers: NDArray[np.int64]) -> None:
        self._parts, self._numbers = parts, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return _Labels(self._parts, self._numbers[place])
        return self._parts[int(self._numbers[place])]


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
        ids, every = (column.ids, column.rows) if isinstance(column, ById) else (Ids.of(column), [*column.values()])
        there = np.array([not _missing(value) for value in every], dtype=np.bool_)
        if not there.all():
            ids, every = ids.take(there), [value for value in every if not _missing(value)]
        cut = _cut(every)
        if isinstance(cut, str):
            left_out[name] = cut
        else:
            columns[name] = Column(cut[0], ids, cut[1])
    return Columns(columns, left_out)


def _missing(value: Plain) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _cut(present: Sequence[Plain]) -> tuple[tuple[str, ...], NDArray[np.int64]] | str:
    """The parts and which of them each value is in, or why there are none."""
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    numbers = np.array(present, dtype=np.float64) if are_numbers and present else np.empty(0)
    if np.unique(numbers).size > len(THIRDS) + 1:
        return _thirds(numbers)
    label = [_number(value) for value in numbers.tolist()] if numbers.size else [_word(value) for value in present]
    labels = set(label)
    if len(labels) < 2:
        return "every row has the same value" if labels else "no row has a value"
    if len(labels) > MOST_VALUES:
        return f"{len(labels)} different values, more than {MOST_VALUES}"
    ordered = sorted(labels, key=float) if numbers.size else sorted(labels)
    place = {part: number for number, part in enumerate(ordered)}
    return tuple(ordered), np.array([place[part] for part in label])


def _thirds(values: Floats) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Numbers, of at least four values, in two or three parts."""
    distinct, counts = np.unique(values, return_counts=True)
    below = (np.cumsum(counts) / values.size)[:-1]
    uppers = distinct[sorted({int(np.abs(below - third).argmin()) for third in THIRDS})]
    labels = _labels(uppers, whole=bool((distinct == np.floor(distinct)).all()))
    return labels, np.searchsorted(uppers, values, side="left")


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
