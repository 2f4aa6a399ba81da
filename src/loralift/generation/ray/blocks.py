"""How the rows of a call are parted into blocks, which are handed to whoever is free."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FULL = {"cuda": 1024, "cpu": 16}
"""Rows below which a block wastes the worker's device, unless each worker has a single block then.

A GPU's decoding step costs about as much for one row as for hundreds, so that two blocks in turn take twice as long as
one of both; 1024 is what both engines run at once at most. A CPU's step costs about as much as its rows.
"""


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
    """Blocks of consecutive rows: large ones first, smaller ones towards the end, so that all workers end together.

    Each has as many rows as the present ones would give to twice the workers: guided self-scheduling (Polychronopoulos
    and Kuck, IEEE Transactions on Computers 36, 1987), which bounds what a slow worker holds back.

    Args:
        rows: By id, longest first, so that the rows of a block are of about one length.
        workers: How many there are; positive.
        full: Fewest rows of a block but the last, as far as each worker gets one.
        batches: The ids of rows that are done together, those of all rows, in order; None: each is alone.
    """
    waiting = deque([key] for key in rows) if batches is None else deque(batches)
    blocks, left = [], len(rows)
    fewest = min(full, math.ceil(left / workers))
    while waiting:
        block, count = Block({}), max(fewest, math.ceil(left / (2 * workers)))
        while waiting and (not block.rows or len(block.rows) + len(waiting[0]) <= count):
            batch = {key: rows[key] for key in waiting.popleft()}
            block.rows.update(batch)
            if batches is not None:
                block.batches.append(batch)
        blocks.append(block)
        left -= len(block.rows)
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
