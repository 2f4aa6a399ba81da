"""Scores by column: an array for each metric in place of an object for each row.

A million rows with fifteen metrics are a million objects of a kilobyte and more, or fifteen arrays of 8 MB, of which a
comparison looks at one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import batched, chain
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from loralift.kept import Kept
from loralift.records.ids import IdKeeper, Ids
from loralift.records.rows import Score

if TYPE_CHECKING:  # every command imports the records; numpy would be a third of the time that --help takes
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BLOCK = 10_000
"""Rows whose values stand together; of more, the arrays are in a file."""

type Kind = Literal["values", "absent", "statistics", "reasons"]
_TYPES: Mapping[Kind, str] = {"values": "f8", "absent": "?", "statistics": "f8", "reasons": "u4"}

_FILLS: Mapping[Kind, float] = {"values": float("nan"), "absent": False, "statistics": float("nan"), "reasons": 0}

type Arrays = dict[tuple[Kind, str], NDArray[Any]]
"""Of one block: a metric's values, which rows do not name it, its statistics, and which of the reasons each row has."""


class Scores(Sequence[Score]):
    """One variant's scores.

    Attributes:
        ids: Of the rows, in their order; variants of the same rows share them.
    """

    def __init__(self, ids: Ids, source: _Source, places: NDArray[np.int64] | None = None) -> None:
        self.ids, self._source, self._places = ids, source, places

    @classmethod
    def of(cls, rows: Iterable[Score]) -> Scores:
        """The scores of rows, in their order; of what is by column already, itself."""
        if isinstance(rows, Scores):
            return rows
        names = IdKeeper()
        reasons: dict[str, int] = {}

        def blocks() -> Iterator[tuple[int, Arrays]]:
            for some in batched(rows, BLOCK):
                for row in some:
                    names.append(row.id)
                yield len(some), _arrays(some, reasons)

        found = _Blocks.of(blocks(), reasons)
        return cls(names.ids(), found)

    @classmethod
    def of_values(cls, ids: Ids, values: Mapping[str, Floats]) -> Scores:
        """Scores without statistics or reasons: metric to values, shape (n,), NaN where there is none."""
        return cls(ids, _Blocks.of(iter([(len(ids), {("values", name): of for name, of in values.items()})]), {}))

    def __reduce__(self) -> tuple[Any, ...]:
        """What is sorted is sorted again in another process."""
        return Scores, (self.ids, self._source, self._places)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that any row names, a value or none, in the order of the rows."""
        return self._source.names("values")

    def overlaid(self, others: Scores, kept: Sequence[str]) -> Scores:
        """The same rows with other scores, where there are any, of the metrics that those have.

        Args:
            others: Of some of the rows.
            kept: Metrics, not of the others, of which all rows keep their scores; of the rest nothing is left.

        Raises:
            ValueError: The others have rows that are not here.
        """
        return Scores(self.ids, _Overlaid(self, others, tuple(name for name in kept if name in self.metrics)))

    def take(self, places: NDArray[np.int64]) -> Scores:
        """Some of the rows, in the order of their places; the arrays stay where they are."""
        return self._taken(self.ids.take(places), places)

    def _taken(self, ids: Ids, places: NDArray[np.int64]) -> Scores:
        return Scores(ids, self._source, places if self._places is None else self._places[places])

    @cached_property
    def sorted(self) -> Scores:
        """The rows in the order of their ids."""
        return self._taken(self.ids.sorted, self.ids.order)

    def values(self, metric: str) -> Floats:
        """A metric's values, shape (n,); NaN where it has none."""
        found: Floats = self._column("values", metric, float("nan"))
        return found

    def absent(self, metric: str) -> NDArray[np.bool_]:
        """Which rows do not even name a metric, shape (n,)."""
        import numpy as np

        if metric not in self.metrics:
            return np.ones(len(self), dtype=np.bool_)
        found: NDArray[np.bool_] = self._column("absent", metric, fill=False)
        return found

    def statistics(self, metric: str) -> Floats | None:
        """A metric's sufficient statistics, shape (n, k), NaN in rows without; None where no row has any."""
        if metric not in self._source.names("statistics"):
            return None
        found: Floats = self._column("statistics", metric, float("nan"))
        return found

    def reasons(self, metric: str) -> tuple[NDArray[np.uint32], tuple[str, ...]]:
        """Why rows are unscored: the number of each row's reason, shape (n,), and the reasons, the first one empty."""
        return self._column("reasons", metric, fill=0), ("", *self._source.reasons)

    def _column(self, kind: Kind, metric: str, fill: float) -> Any:
        whole = self._source.column(kind, metric, fill)
        return whole if self._places is None else whole[self._places]

    @overload
    def __getitem__(self, place: int) -> Score: ...
    @overload
    def __getitem__(self, place: slice) -> Scores: ...
    def __getitem__(self, place: int | slice) -> Score | Scores:
        import numpy as np

        if isinstance(place, slice):
            return self._taken(self.ids[place], np.arange(len(self))[place])
        at = range(len(self))[place] if self._places is None else self._places[place]
        return next(self._source.rows([self.ids[place]], np.array([at])))

    def __iter__(self) -> Iterator[Score]:
        import numpy as np

        places = np.arange(len(self)) if self._places is None else self._places
        return self._source.rows(self.ids, places)

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same rows."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class _Source(Protocol):
    """Where columns come from."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why values may lack."""

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The metrics that have such a column."""

    def column(self, kind: Kind, metric: str, fill: float) -> Any:
        """One column of all rows, filled where there is none."""

    def rows(self, ids: Iterable[str], places: NDArray[np.int64]) -> Iterator[Score]:
        """Rows by their places, under their ids."""


class _Overlaid:
    """Scores some rows of which are others'; see `Scores.overlaid`."""

    def __init__(self, below: Scores, above: Scores, kept: tuple[str, ...]) -> None:
        self._below, self._above, self._kept = below, above, kept
        self._places = below.ids.places_of(above.ids)
        if (self._places < 0).any():
            raise ValueError("scores of other rows")
        self.reasons = (*below.reasons("")[1][1:], *above.reasons("")[1][1:])

    def names(self, kind: Kind) -> tuple[str, ...]:
        """See `_Source`."""
        known = self._below._source.names(kind) + self._above._source.names(kind)
        return tuple(dict.fromkeys(name for name in known if name in self._kept or name in self._above.metrics))

    def column(self, kind: Kind, metric: str, fill: float) -> Any:
        """See `_Source`."""
        below = self._below._column(kind, metric, fill)
        if metric in self._kept:
            return below
        above = self._above._column(kind, metric, fill)
        if kind == "reasons":
            import numpy as np

            above = np.where(above > 0, above + len(self._below.reasons("")[1]) - 1, 0)
        # a side without any statistics has one NaN a row in their place
        whole = below.copy() if below.ndim >= above.ndim else _filled(len(below), above, fill)
        whole[self._places] = above if above.ndim == whole.ndim else above[:, None]
        return whole

    def rows(self, ids: Iterable[str], places: NDArray[np.int64]) -> Iterator[Score]:
        """See `_Source`."""
        block = {
            (kind, name): self.column(kind, name, fill)[places].tolist()
            for kind, fill in _FILLS.items()
            for name in self.names(kind)
        }
        return (_score(one, block, row, self.reasons) for row, one in enumerate(ids))


def _filled(rows: int, like: NDArray[Any], fill: float) -> NDArray[Any]:
    import numpy as np

    return np.full((rows, *like.shape[1:]), fill, dtype=like.dtype)


class _Blocks:
    """The arrays of all blocks.

    Args:
        parts: How many rows each block has, and where its arrays stand.
        arrays: Of all blocks.
        reasons: Why values may lack.
    """

    def __init__(
        self,
        parts: Sequence[tuple[int, Mapping[tuple[Kind, str], int]]],
        arrays: Sequence[NDArray[Any]],
        reasons: Sequence[str],
    ) -> None:
        self.parts, self._arrays, self.reasons = parts, arrays, reasons
        self._last: tuple[int, dict[tuple[Kind, str], list[Any]]] = (-1, {})

    def __reduce__(self) -> tuple[Any, ...]:
        """What was read last is read again in another process."""
        return _Blocks, (self.parts, self._arrays, self.reasons)

    @classmethod
    def of(cls, blocks: Iterator[tuple[int, Arrays]], reasons: Mapping[str, int]) -> _Blocks:
        """Of blocks of which each but the last has BLOCK rows, or of one; `reasons` is known when all have come."""
        parts: list[tuple[int, Mapping[tuple[Kind, str], int]]] = []

        def arrays() -> Iterator[NDArray[Any]]:
            count = 0
            for size, of in blocks:
                parts.append((size, {key: count + place for place, key in enumerate(of)}))
                count += len(of)
                for array in of.values():
                    array.setflags(write=False)
                    yield array

        found = arrays()
        first: list[NDArray[Any]] = []
        for array in found:
            if len(parts) > 1:
                return cls(parts, Kept.of(chain(first, [array], found)), tuple(reasons))
            first.append(array)
        return cls(parts, tuple(first), tuple(reasons))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """See `_Source`."""
        return tuple(dict.fromkeys(name for _, of in self.parts for this, name in of if this == kind))

    def column(self, kind: Kind, metric: str, fill: float) -> Any:
        """See `_Source`."""
        import numpy as np

        key = (kind, metric)
        some = next((self._arrays[of[key]] for _, of in self.parts if key in of), None)
        if some is not None and len(self.parts) == 1:
            return some
        shape, dtype = ((), np.dtype(_TYPES[kind])) if some is None else (some.shape[1:], some.dtype)
        whole = np.empty((sum(size for size, _ in self.parts), *shape), dtype=dtype)
        begin = 0
        for size, of in self.parts:
            whole[begin : begin + size] = self._arrays[of[key]] if key in of else fill
            begin += size
        return whole

    def rows(self, ids: Iterable[str], places: NDArray[np.int64]) -> Iterator[Score]:
        """See `_Source`."""
        size = self.parts[0][0] if self.parts else 1
        for one, place in zip(ids, places.tolist(), strict=True):
            block, row = divmod(place, size)
            if self._last[0] != block:
                self._last = block, {key: self._arrays[at].tolist() for key, at in self.parts[block][1].items()}
            yield _score(one, self._last[1], row, self.reasons)


def _score(one: str, block: Mapping[tuple[Kind, str], list[Any]], row: int, reasons: Sequence[str]) -> Score:
    values, statistics, unscored = {}, {}, {}
    for (kind, metric), of in block.items():
        found = of[row]
        if kind == "values":
            absent = block.get(("absent", metric))
            if absent is None or not absent[row]:
                values[metric] = found if found == found else None
        elif kind == "statistics" and found[0] == found[0]:
            statistics[metric] = tuple(found)
        elif kind == "reasons" and found:
            unscored[metric] = reasons[found - 1]
    return Score(one, values, statistics, unscored) if unscored else Score(one, values, statistics)


def _arrays(rows: Sequence[Score], reasons: dict[str, int]) -> Arrays:
    """The columns of some rows; reasons that were not known are added."""
    import numpy as np

    found: Arrays = {}
    for metric in dict.fromkeys(chain.from_iterable(row.values for row in rows)):
        values = [row.values.get(metric) for row in rows]
        found["values", metric] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        absent = np.array([value is None and metric not in row.values for value, row in zip(values, rows, strict=True)])
        if absent.any():
            found["absent", metric] = absent
    for metric in dict.fromkeys(chain.from_iterable(row.statistics for row in rows)):
        nothing = (np.nan,) * max(len(row.statistics.get(metric, ())) for row in rows)
        if nothing:
            of = [row.statistics.get(metric, nothing) for row in rows]
            found["statistics", metric] = np.array(of, dtype=np.float64)
    for metric in dict.fromkeys(chain.from_iterable(row.unscored for row in rows)):
        said = [row.unscored.get(metric, "") for row in rows]
        numbers = [reasons.setdefault(why, len(reasons) + 1) if why else 0 for why in said]
        found["reasons", metric] = np.array(numbers, dtype=np.uint32)
    return found
