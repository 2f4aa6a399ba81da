"""The ids of rows, in a few bytes each, once for all that is known of the same rows."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakValueDictionary

if TYPE_CHECKING:  # every command imports the records; numpy would be a third of the time that --help takes
    import numpy as np
    from numpy.typing import NDArray

_KNOWN: WeakValueDictionary[bytes, Ids] = WeakValueDictionary()

DECODED = 1_024
"""How many ids are decoded at a time."""


class Ids(Sequence[str]):
    """Ids in one text; equal ones are one object, however many variants they are of.

    Args:
        text: UTF-8, half surrogate pairs included.
        begins: Where each id begins in it, shape (n,).
        ends: Where it ends, shape (n,).
    """

    def __init__(self, text: bytes, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self._text, self._begins, self._ends = text, begins, ends

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """The ids, in their order; those that are there already, where they are."""
        if isinstance(ids, Ids):
            return ids
        keeper = IdKeeper()
        for one in ids:
            keeper.append(one)
        return keeper.ids()

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process they are shared too."""
        import numpy as np

        whole = self if self._is_whole() else Ids.of(iter(self))
        return _shared, (whole._text, np.concatenate([whole._begins[:1] * 0, whole._ends]))

    def _is_whole(self) -> bool:
        """Whether the text is that of the ids, in their order, and nothing else."""
        begins, ends = self._begins, self._ends
        if not len(ends):
            return not self._text
        return bool(begins[0] == 0 and ends[-1] == len(self._text) and (begins[1:] == ends[:-1]).all())

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Ids: ...
    def __getitem__(self, place: int | slice) -> str | Ids:
        if isinstance(place, slice):
            return Ids(self._text, self._begins[place], self._ends[place])
        return self._text[int(self._begins[place]) : int(self._ends[place])].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), DECODED):
            places = slice(first, first + DECODED)
            for begin, end in zip(self._begins[places].tolist(), self._ends[places].tolist(), strict=True):
                yield self._text[begin:end].decode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same ids."""
        if other is self or not isinstance(other, Sequence):
            return other is self
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def take(self, places: NDArray[Any]) -> Ids:
        """Some of them, by their places, or by whether they are taken; the text stays where it is."""
        return Ids(self._text, self._begins[places], self._ends[places])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The places of the ids in the order of their characters, shape (n,); of equal ones the first first."""
        import numpy as np

        every = list(self)
        return np.array(sorted(range(len(every)), key=every.__getitem__), dtype=np.int64)

    @cached_property
    def sorted(self) -> Ids:
        """The ids in the order of their characters: one object, however often they are asked for."""
        return self.take(self.order)

    @cached_property
    def twice(self) -> tuple[int, ...]:
        """The places at which an id stands that stood before."""
        import numpy as np

        # unequal hashes have no equal ids, and take a tenth of the memory of a set
        hashes = np.sort(np.array(array("q", map(hash, self)), dtype=np.int64))
        if (hashes[1:] != hashes[:-1]).all():
            return ()
        first: dict[str, int] = {}
        return tuple(place for place, one in enumerate(self) if first.setdefault(one, place) != place)

    def place(self, one: str) -> int:
        """Where an id stands; -1: it does not."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self[int(self.order[middle])] < one else (low, middle)
        return int(self.order[low]) if low < len(self) and self[int(self.order[low])] == one else -1

    def places_of(self, others: Ids) -> NDArray[np.int64]:
        """Where each of other ids stands here, shape (m,); -1: it does not."""
        import numpy as np

        if others is self:
            return np.arange(len(self))
        if others is self.__dict__.get("sorted"):
            return self.order
        known = {one: place for place, one in enumerate(self)}
        return np.fromiter((known.get(one, -1) for one in others), dtype=np.int64, count=len(others))


class IdKeeper:
    """Gathers ids as they come; see `Ids.of`."""

    def __init__(self) -> None:
        self._text, self._bounds = bytearray(), array("q", [0])

    def append(self, one: str) -> None:
        """One id more."""
        self._text += one.encode("utf-8", "surrogatepass")
        self._bounds.append(len(self._text))

    def ids(self) -> Ids:
        """All that came."""
        import numpy as np

        return _shared(bytes(self._text), np.array(self._bounds, dtype=np.int64))


class ById[Row](Mapping[str, Row]):
    """Rows by their ids. Those that are asked for in the order of the rows are found at once.

    Args:
        ids: Each once.
        rows: As many.
    """

    def __init__(self, ids: Ids, rows: Sequence[Row]) -> None:
        self.ids, self.rows, self._next = ids, rows, 0

    def _place(self, key: object) -> int:
        if not isinstance(key, str):
            return -1
        if self._next < len(self.ids) and self.ids[self._next] == key:
            return self._next
        return self.ids.place(key)

    def __getitem__(self, key: str) -> Row:
        place = self._place(key)
        if place < 0:
            raise KeyError(key)
        self._next = place + 1
        return self.rows[place]

    def __contains__(self, key: object) -> bool:
        place = self._place(key)
        self._next = max(place, 0)
        return place >= 0

    def in_order(self, ids: Ids) -> Iterator[Row]:
        """The rows with these ids, in their order.

        Raises:
            KeyError: One is not there.
        """
        return iter(self.rows) if ids is self.ids else (self[one] for one in ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def _shared(text: bytes, bounds: NDArray[np.int64]) -> Ids:
    key = hashlib.sha256(text)
    key.update(bounds.tobytes())
    return _KNOWN.setdefault(key.digest(), Ids(text, bounds[:-1], bounds[1:]))
