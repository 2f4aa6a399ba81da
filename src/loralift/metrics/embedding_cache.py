"""References' embeddings on the disk: one data set is embedded once for all runs, which is most of what scoring takes.

An SQLite file, so that several runs may read and write at once and a killed one leaves it whole. A cache is never a
reason to fail: what cannot be opened, read or written is as good as empty.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 200_000
"""Embeddings that the file may hold, the most recently written ones: 350 MB with 384 dimensions."""

AT_ONCE = 500
"""Rows of a query: SQLite takes no more than 999 values in old versions."""

PATIENCE = 30.0
"""Seconds that one waits for another that writes, on a slow disk too; then it goes without the file."""

_TABLE = "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, windows INTEGER, vector BLOB)"


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """A text as a model sees it.

    Attributes:
        vector: Shape (dimensions,).
        windows: How many windows it took.
        seen: Whether the model's tokenizer knows half of its letters and digits; if not, the vector says nothing.
    """

    vector: NDArray[np.float32]
    windows: int
    seen: bool = True


def identity_of(weights: str, device: Any) -> bytes:
    """All that an embedding depends on but its text: the model, device, versions.

    Args:
        weights: The model, as ``embeddings.weights_of`` says it.
        device: The torch device that it is on.
    """
    from importlib.metadata import version

    import torch

    # The words: files of before may hold texts that the tokenizer cannot see, and embeddings by the batch they were in.
    settings = [weights, "seen", "alone", device.type, _kind(device)]
    settings += [version(name) for name in ("loralift", "sentence-transformers", "transformers")]
    return hashlib.sha256("\0".join(map(str, [*settings, torch.__version__])).encode()).digest()


def _kind(device: Any) -> str:
    """What decides how a device adds up: a GPU's name, a CPU's instructions."""
    import torch

    return str(torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability())


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """One model's part of the file.

    Attributes:
        path: The file, shared by all models.
        identity: Of the model, as ``identity_of``.
    """

    path: Path
    identity: bytes

    def read(self, texts: Sequence[str], rows: int) -> dict[str, Embedded]:
        """Those of the texts that are there, as they are embedded in batches of so many windows."""
        by_key = {self._key(text, rows): text for text in texts}
        keys, found = list(by_key), {}
        # A value of another kind, as of a file that is damaged, is none either.
        with suppress(sqlite3.Error, OSError, ValueError, TypeError), self._open() as connection:
            for start in range(0, len(keys), AT_ONCE):
                asked = keys[start : start + AT_ONCE]
                marks = ",".join("?" * len(asked))
                query = f"SELECT key, windows, vector FROM embeddings WHERE key IN ({marks})"
                for key, windows, vector in connection.execute(query, asked):
                    found[by_key[key]] = Embedded(np.frombuffer(vector, dtype=np.float32), windows)
        return found

    def write(self, embedded: Mapping[str, Embedded], rows: int) -> None:
        """Add the texts that the tokenizer can see, and drop the oldest ones beyond what the file may hold."""
        lines = [
            (self._key(text, rows), each.windows, each.vector.astype(np.float32).tobytes())
            for text, each in embedded.items()
            if each.seen
        ]
        with suppress(sqlite3.Error, OSError), self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", lines)
            last = "SELECT MAX(rowid) FROM embeddings"
            connection.execute(f"DELETE FROM embeddings WHERE rowid <= ({last}) - {MOST_ROWS}")

    def _key(self, text: str, rows: int) -> bytes:
        return hashlib.sha256(self.identity + b"%d\0" % rows + text.encode("utf-8", "surrogatepass")).digest()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
            connection.execute(_TABLE)
            yield connection
