"""Which rows to evaluate, where training took the others: evaluation never meets a row that was trained on.

Row indices are 0-based and count the rows of the source, before anything is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from loralift.data.files import read_text
from loralift.errors import DataError, UsageError, shown, some, wrong_argument
from loralift.reading import parse_json


@dataclass(frozen=True, slots=True)
class SavedIndices:
    """The rows whose indices a file lists, in its order.

    Attributes:
        path: A JSON list of integers: the rows to evaluate.
    """

    path: Path

    def __str__(self) -> str:
        return f"rows listed in {self.path}"

    def choose(self, rows: int) -> list[int]:
        """The indices, in the file's order.

        Args:
            rows: How many rows the source has.

        Raises:
            DataError: The file is no list of integers, or one of them is out of range or there twice.
        """
        listed = parse_json(read_text(self.path), self.path, DataError, "it must be a JSON list of row indices")
        if not isinstance(listed, list) or not listed:
            raise DataError(f"{self.path}: must be a JSON list of row indices, got {shown(listed)}")
        strange = [value for value in listed if not isinstance(value, int) or isinstance(value, bool)]
        if strange:
            raise DataError(f"{self.path}: row indices must be integers, got {some(map(shown, strange))}")
        outside = [index for index in listed if not 0 <= index < rows]
        if outside:
            raise DataError(f"{self.path}: row indices must be from 0 to {rows - 1}, got {some(outside)}")
        repeated = [index for index, times in Counter(listed).items() if times > 1]
        if repeated:
            raise DataError(f"{self.path}: row indices must be there once each, got several of {some(repeated)}")
        return listed


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What ``datasets.Dataset.train_test_split(test_size=fraction, seed=seed)`` gives to ``test``, in its order.

    Attributes:
        fraction: Share of the rows that is evaluated; in (0, 1).
        seed: Of the shuffle, never negative.
    """

    fraction: float
    seed: int

    def __str__(self) -> str:
        return f"held-out part of train_test_split(test_size={self.fraction}, seed={self.seed})"

    def choose(self, rows: int) -> list[int]:
        """The indices, shuffled as ``datasets`` shuffles them.

        The first ceil(fraction * rows) of ``numpy.random.default_rng(seed).permutation(rows)``.

        Args:
            rows: How many rows the source has.

        Raises:
            UsageError: The fraction or the seed is out of range.
            DataError: Nothing would have been left to train on.
        """
        import numpy as np

        if not 0 < self.fraction < 1:
            raise UsageError(wrong_argument("fraction", "between 0 and 1, both excluded", self.fraction))
        if self.seed < 0:
            raise UsageError(wrong_argument("seed", "0 or more", self.seed))
        held_out = math.ceil(self.fraction * rows)
        if held_out >= rows:
            raise DataError(f"`fraction` {self.fraction} of {rows} rows holds out all of them, and trains on none")
        chosen: list[int] = np.random.default_rng(self.seed).permutation(rows)[:held_out].tolist()
        return chosen


Selection = SavedIndices | HeldOut
