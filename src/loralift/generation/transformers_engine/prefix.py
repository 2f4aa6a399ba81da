"""The tokens with which all rows begin, which are computed once."""

from __future__ import annotations

from collections.abc import Sequence

# Fewest tokens that are worth it.
FEWEST_SHARED = 8


def shared_tokens(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common prefix of all rows, shorter than each of them; empty if it has fewer than FEWEST_SHARED tokens."""
    if len(rows) < 2:
        return ()
    first, last = min(rows), max(rows)
    most = min(map(len, rows)) - 1
    count = next((place for place in range(most) if first[place] != last[place]), max(most, 0))
    return first[:count] if count >= FEWEST_SHARED else ()
