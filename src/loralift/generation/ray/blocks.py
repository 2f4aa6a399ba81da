"""How the rows of a call are parted into blocks, which are handed to whoever is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

FULL = {"cuda": 1024, "cpu": 64}
"""Rows below which a block wastes the worker's device, unless each worker has a single block then.

A decoding step reads the weights whatever it computes, so that two blocks in turn take longer than one of both. A GPU's
costs about as much for one row as for hundreds, and 1024 is what both engines run at once at most. On one CPU thread a
block costs as much as 20 rows more (135M parameters: 2.7 s of 16 rows x 24 tokens, 11.2 s of 128; 7M: 0.7 s of 16 x
64, 2.7 s of 128).
"""

FULL_OF_REFERENCES = 16
"""The same of references, which are scored in batches of their own, whose size is not the block's."""

FIRST = 2 / 3
"""Share of the rows that is handed out at once; the rest evens out what workers differ in."""


@dataclass(eq=False)
class Block:
    """Some rows of a call.

    Attributes:
        rows: What is left of it to do, by id, in order.
        batches: Rows that are done together or not at all, all of the block's at its beginning; empty: each is alone.
        only: The worker that must do it; None: any.
        killed: The workers that died of it, or with it.
        deaths: How often a worker died with it.
    """

    rows: dict[str, Any]
    batches: list[Mapping[str, Any]] = field(default_factory=list)
    only: int | None = None
    killed: set[int] = field(default_factory=set)
    deaths: int = 0

    @property
    def whole(self) -> dict[str, Any]:
        """What is left, with rows that are done but whose batch is not: they are done once more, in vain."""
        if not self.batches:
            return dict(self.rows)
        left = [batch for batch in self.batches if not batch.keys().isdisjoint(self.rows)]
        return {key: row for batch in left for key, row in batch.items()}


def parted(
    rows: Mapping[str, Any], workers: int, full: int, batches: Sequence[Sequence[str]] | None = None
) -> list[Block]:
    """Blocks for whoever is free: one a worker at first, of most rows, then smaller ones, so that all end together.

    By factoring (Hummel, Schonberg and Flynn, Communications of the ACM 35, 1992): in each round all workers have equal
    blocks. Rows are dealt out in turn, so that the blocks of a round take equally long.

    Args:
        rows: By id, longest first.
        workers: How many there are; positive.
        full: Fewest rows a worker that are kept for another round.
        batches: The ids of rows that are done together, those of all rows, in order; None: each is alone.
    """
    waiting = deque([key] for key in rows) if batches is None else deque(batches)
    blocks, left = [], len(rows)
    while waiting:
        later = int((1 - FIRST) * left / workers)
        until = workers * later if workers > 1 and later >= full else 0
        dealt: list[Block] = [Block({}) for _ in range(workers)]
        for block in cycle(dealt):
            if left <= until or not waiting:
                break
            batch = {key: rows[key] for key in waiting.popleft()}
            left -= len(batch)
            block.rows.update(batch)
            if batches is not None:
                block.batches.append(batch)
        blocks += [block for block in dealt if block.rows]
    return blocks


def take(waiting: list[Block], worker: int, workers: Sequence[int]) -> Block | None:
    """Take the next block for a worker out of those that wait; None where there is none for it now.

    A block that killed a worker waits for one that it has not killed, as long as there is one.

    Args:
        waiting: In the order in which they are done.
        worker: Its number.
        workers: The numbers of all that are not left out.
    """
    for place, block in enumerate(waiting):
        mine = block.only in (None, worker)
        if mine and (worker not in block.killed or block.only == worker or block.killed.issuperset(workers)):
            return waiting.pop(place)
    return None
