"""Rows of which there may be millions: a tuple while they are few, else a file that is read row by row.

>>> keep(number**2 for number in range(3))
(0, 1, 4)

Both are sequences, so whoever reads rows need not know. The file has no name on Linux, so that a process that is killed
leaves nothing behind; elsewhere it is removed when nobody needs it any more. Another process may read it for as long as
this one keeps it: what is pickled is the way to it, not its rows.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from loralift.errors import RunDirectoryError

if TYPE_CHECKING:  # every command imports this; numpy would be a third of the time that --help takes
    import numpy as np
    from numpy.typing import NDArray

FEW = 10_000
"""Rows up to which they are kept in memory: some 30 MB."""

AT_ONCE = 1 << 20
"""Bytes that are written, and about as many that are read, at a time."""

ROWS_AT_ONCE = 256


def keep[Row](rows: Iterable[Row]) -> Sequence[Row]:
    """Keep rows, as many as come.

    Args:
        rows: Of values that can be pickled.

    Returns:
        A tuple of up to FEW, else what reads them from a file; of rows that are kept already, themselves.

    Raises:
        RunDirectoryError: There is no room for the file.
    """
    if isinstance(rows, tuple | Kept):
        return rows
    keeper = Keeper[Row]()
    for row in rows:
        keeper.append(row)
    return keeper.kept()


def joined[Row](parts: Sequence[Sequence[Row]]) -> Sequence[Row]:
    """The rows of all parts behind each other; of one part itself."""
    return parts[0] if len(parts) == 1 else keep(chain.from_iterable(parts))


def chosen[Row](rows: Sequence[Row], places: Sequence[int] | NDArray[np.int64]) -> Sequence[Row]:
    """Some of the rows, by their places, without reading them."""
    return rows.take(places) if isinstance(rows, Kept) else tuple(rows[place] for place in places)


class Keeper[Row]:
    """Keeps rows as they come; see `keep`."""

    def __init__(self) -> None:
        self._few: list[Row] = []
        self._writer: _Writer | None = None

    def append(self, row: Row) -> None:
        """Keep one row more.

        Raises:
            RunDirectoryError: There is no room for it.
        """
        if self._writer is None and len(self._few) < FEW:
            self._few.append(row)
            return
        if self._writer is None:
            self._writer = _Writer()
            for one in self._few:
                self._writer.append(one)
            self._few = []
        self._writer.append(row)

    def kept(self) -> Sequence[Row]:
        """All rows that came."""
        return tuple(self._few) if self._writer is None else self._writer.kept()


class Store:
    """A file that grows at its end, and is read anywhere, by this process and by others.

    Raises:
        RunDirectoryError: It cannot be written; the message names the folder.
    """

    def __init__(self) -> None:
        folder = scratch()
        with _disk_errors(folder):
            handle, name = tempfile.mkstemp(prefix="loralift-rows-", dir=folder)
        self._folder = folder
        if sys.platform == "linux":  # the file lives as long as somebody has it open
            Path(name).unlink()
            self._path = f"/proc/{os.getpid()}/fd/{handle}"
            remove = None
        else:
            self._path = remove = name
        self._begin(handle, remove)

    def _begin(self, handle: int, remove: str | None) -> None:
        self._handle, self._size, self._waits = handle, 0, 0
        self._waiting: list[bytes] = []
        weakref.finalize(self, _end, handle, remove)

    def append(self, content: bytes) -> int:
        """Write behind what is there; returns the place behind it."""
        self._waiting.append(content)
        self._waits += len(content)
        if self._waits >= AT_ONCE:
            self.flush()
        return self._size + self._waits

    def flush(self) -> None:
        """Bring what waits in memory into the file."""
        with _disk_errors(self._folder):
            left = memoryview(b"".join(self._waiting))
            while left:
                left = left[os.write(self._handle, left) :]
        self._size, self._waiting, self._waits = self._size + self._waits, [], 0

    def read(self, begin: int, end: int) -> bytes:
        """What stands between two places."""
        found = os.pread(self._handle, end - begin, begin)
        if len(found) < end - begin:  # a signal, or a file that somebody cut
            rest = os.pread(self._handle, end - begin - len(found), begin + len(found)) if found else b""
            if len(found) + len(rest) < end - begin:
                raise RunDirectoryError(f"the rows that were kept in {self._folder} are gone: start again")
            found += rest
        return found

    def __getstate__(self) -> tuple[str, str]:
        """The way to it."""
        self.flush()
        return self._path, str(self._folder)

    def __setstate__(self, state: tuple[str, str]) -> None:
        """Open another process's file, to read it."""
        self._path, self._folder = state[0], Path(state[1])
        with _disk_errors(self._folder):
            self._begin(os.open(self._path, os.O_RDONLY), None)


class Kept[Row](Sequence[Row]):
    """Rows in a file.

    Args:
        store: The file, with a pickle of each row.
        begins: Where the pickles begin, shape (n,).
        ends: Where they end, shape (n,).
    """

    def __init__(self, store: Store, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self._store, self._begins, self._ends = store, begins, ends

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Kept[Row]:
        """Write rows into a file of their own, however few they are."""
        writer = _Writer()
        for row in rows:
            writer.append(row)
        return writer.kept()

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> Kept[Row]:
        """Some of the rows, in the order of these places; the file is the same."""
        import numpy as np

        where = np.asarray(places, dtype=np.int64)
        return Kept(self._store, self._begins[where], self._ends[where])

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        if isinstance(place, slice):
            return Kept(self._store, self._begins[place], self._ends[place])
        row: Row = pickle.loads(self._store.read(int(self._begins[place]), int(self._ends[place])))
        return row

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, len(self), ROWS_AT_ONCE):
            begins, ends = (of[first : first + ROWS_AT_ONCE].tolist() for of in (self._begins, self._ends))
            low, high = min(begins), max(ends)
            if high - low > 4 * sum(map(int.__sub__, ends, begins)):  # they lie apart
                yield from (pickle.loads(self._store.read(*of)) for of in zip(begins, ends, strict=True))
                continue
            content = memoryview(self._store.read(low, high))
            yield from (pickle.loads(content[a - low : b - low]) for a, b in zip(begins, ends, strict=True))

    def __eq__(self, other: object) -> bool:
        """Equal to any tuple or Kept with the same rows."""
        if not isinstance(other, tuple | Kept):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class _Writer:
    """Writes rows into a file."""

    def __init__(self) -> None:
        self._store, self._places = Store(), array("q", [0])

    def append(self, row: object) -> None:
        self._places.append(self._store.append(pickle.dumps(row, protocol=pickle.HIGHEST_PROTOCOL)))

    def kept(self) -> Kept[Any]:
        import numpy as np

        self._store.flush()
        found = np.array(self._places, dtype=np.int64)
        return Kept(self._store, found[:-1], found[1:])


def scratch() -> Path:
    """The folder for rows: TMPDIR, else /var/tmp, since /tmp is in memory on many machines, else the usual one."""
    usual = Path(tempfile.gettempdir())
    large = Path("/var/tmp")
    return large if not os.environ.get("TMPDIR") and os.access(large, os.W_OK) else usual


def _end(handle: int, remove: str | None) -> None:
    os.close(handle)
    if remove is not None:
        Path(remove).unlink(missing_ok=True)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into one line that names the folder and says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunDirectoryError(
            f"cannot keep rows in {folder}: {reason}; make room there, or set TMPDIR to a folder with room. What was "
            "written into a run's folder before is kept"
        ) from error
