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
        text: All of them in UTF-8, half surrogate pairs included, behind each other.
        ends: Where each ends, shape (n,).
    """

    def __init__(self, text: bytes, ends: NDArray[np.int64]) -> None:
        self._text, self._ends = text, ends

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """The ids, in their order; those that are there already, where they are."""
        import numpy as np

        if isinstance(ids, Ids):
            return ids
        text, ends = bytearray(), array("q")
        for one in ids:
            text += one.encode("utf-8", "surrogatepass")
            ends.append(len(text))
        return _shared(bytes(text), np.array(ends, dtype=np.int64))

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process they are shared too."""
        return _shared, (self._text, self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Ids: ...
    def __getitem__(self, place: int | slice) -> str | Ids:
        if isinstance(place, slice):
            return self.take(range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        begin = int(self._ends[place - 1]) if place else 0
        return self._text[begin : int(self._ends[place])].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        begin = 0
        for first in range(0, len(self), DECODED):
            for end in self._ends[first : first + DECODED].tolist():
                yield self._text[begin:end].decode("utf-8", "surrogatepass")
                begin = end

    def take(self, places: Iterable[int]) -> Ids:
        """Some of them, by their places."""
        return Ids.of(self[int(place)] for place in places)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The places of the ids in the order of their characters, shape (n,); of equal ones the first first."""
        import numpy as np

        every = list(self)
        return np.array(sorted(range(len(every)), key=every.__getitem__), dtype=np.int64)

    @cached_property
    def twice(self) -> tuple[int, ...]:
        """The places at which an id stands that stood before."""
        if len(set(self)) == len(self):
            return ()
        seen: set[str] = set()
        return tuple(place for place, one in enumerate(self) if one in seen or seen.add(one))  # type: ignore[func-returns-value]

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
        known = {one: place for place, one in enumerate(self)}
        return np.fromiter((known.get(one, -1) for one in others), dtype=np.int64, count=len(others))


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

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def _shared(text: bytes, ends: NDArray[np.int64]) -> Ids:
    key = hashlib.sha256(text)
    key.update(ends.tobytes())
    return _KNOWN.setdefault(key.digest(), Ids(text, ends))
