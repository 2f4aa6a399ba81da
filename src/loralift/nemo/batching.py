"""Turns the calls of many concurrent coroutines into few calls with many rows.

The SDK verifies row by row; metrics are fast only over many rows at once (embeddings by an order of magnitude). A
`Batcher` gathers the rows that are waiting and scores them together, off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# How long a batch waits for rows: enough for every coroutine that is ready to run, little against an endpoint's answer.
GATHER_SECONDS = 0.005


@dataclass(eq=False)
class _Batch[Item, Result]:
    items: list[Item] = field(default_factory=list)
    results: asyncio.Task[Sequence[Result]] | None = None


class Batcher[Item, Result]:
    """Gathers items from concurrent coroutines and works on them together, one batch at a time, in a thread.

    Args:
        work: The items of a batch to their results, in the same order.
        size: Most items of a batch.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], size: int) -> None:
        self._work = work
        self._size = size
        self._open: _Batch[Item, Result] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, item: Item) -> Result:
        """The result of one item; whatever the work raised is raised in every coroutine of its batch."""
        if self._open is None:
            self._open = _Batch()
            self._open.results = asyncio.create_task(self._run(self._open))
        batch = self._open
        position = len(batch.items)
        batch.items.append(item)
        if len(batch.items) == self._size:
            self._open = None
        assert batch.results is not None
        # One coroutine's cancellation must not take the batch from the others.
        return (await asyncio.shield(batch.results))[position]

    async def _run(self, batch: _Batch[Item, Result]) -> Sequence[Result]:
        await asyncio.sleep(GATHER_SECONDS)
        async with self._one_at_a_time:
            if self._open is batch:
                self._open = None
            return await asyncio.to_thread(self._work, batch.items)
