"""Word n-grams of a few texts, found in very many others: an inverted index of hashes (Broder's shingles)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, with bits all over: 2^64 divided by the golden ratio, as in Fibonacci hashing."""


class Shingles:
    """The n-grams of some texts as sorted hashes, each with the texts that it stands in.

    A word is a random 64-bit number, an n-gram a polynomial of them modulo 2^64: with 130,000 n-grams to find, one
    false match is expected in 10^14 that are looked at.
    """

    def __init__(self, texts: Sequence[tuple[Sequence[str], int, float]]) -> None:
        """Index texts.

        Args:
            texts: The words of each, the n of its n-grams (0: it has none), and the share of them that is enough.
        """
        vocabulary = sorted({word for words, _, _ in texts for word in words})
        self.numbers = {word: number for number, word in enumerate(vocabulary, start=1)}
        self.codes = np.random.default_rng(0).integers(1, 2**64, len(vocabulary) + 1, dtype=np.uint64)
        self.shares = np.array([share for _, _, share in texts])
        self.sizes = np.ones(len(texts), dtype=np.int64)
        places: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for position, (words, n, _) in enumerate(texts):
            if n:
                hashes, _ = self._hashes(self._numbered([words])[0], n)
                distinct = np.unique(hashes).tolist()
                self.sizes[position] = len(distinct)
                for gram in distinct:
                    places[n][gram].append(position)
        self.tables = {n: _table(grams) for n, grams in places.items()}

    def found_in(self, rows: Sequence[Sequence[str]]) -> Iterator[tuple[int, int, float]]:
        """Where enough of a text's n-grams stand in a row: the row's position, the text's, and the share in (0, 1]."""
        numbers, owners = self._numbered(rows)
        for n, (hashes, starts, counts, members) in self.tables.items():
            grams, where = self._hashes(numbers, n)
            slots = np.minimum(np.searchsorted(hashes, grams), len(hashes) - 1)
            hit = hashes[slots] == grams
            once = np.unique(owners[where[hit]] * len(hashes) + slots[hit])  # a row's n-gram counts once
            row, slot = once // len(hashes), once % len(hashes)
            many = counts[slot]
            offsets = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
            text = members[np.repeat(starts[slot], many) + offsets]
            pairs, shared = np.unique(np.repeat(row, many) * len(self.sizes) + text, return_counts=True)
            row, text = pairs // len(self.sizes), pairs % len(self.sizes)
            similarity = shared / self.sizes[text]
            enough = similarity >= self.shares[text]
            yield from zip(row[enough].tolist(), text[enough].tolist(), similarity[enough].tolist(), strict=True)

    def _numbered(self, rows: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows' words as numbers, 0 for a word of no text and after each row; and whose row each is."""
        flat = [number for row in rows for number in (*map(self.numbers.get, row), None)]
        numbers = np.array([number or 0 for number in flat], dtype=np.int64)
        return numbers, np.repeat(np.arange(len(rows)), [len(row) + 1 for row in rows])

    def _hashes(self, numbers: NDArray[np.int64], n: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The hash of every n-gram without an unknown word, and where it begins."""
        if len(numbers) < n:
            return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(numbers, n)
        where = np.flatnonzero((windows != 0).all(axis=1))
        hashes = np.zeros(len(where), dtype=np.uint64)
        for offset in range(n):
            hashes = hashes * MULTIPLIER + self.codes[numbers[where + offset]]  # modulo 2^64
        return hashes, where


def _table(
    grams: Mapping[int, list[int]],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sorted hashes; where each one's texts start among the members, and how many they are; the members."""
    ordered = sorted(grams)
    counts = np.array([len(grams[gram]) for gram in ordered], dtype=np.int64)
    members = np.array([text for gram in ordered for text in grams[gram]], dtype=np.int64)
    return np.array(ordered, dtype=np.uint64), np.cumsum(counts) - counts, counts, members
