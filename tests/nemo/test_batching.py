from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from loralift.nemo.batching import Batcher


def double_all(calls: list[int]):
    def work(items: Sequence[int]) -> list[int]:
        calls.append(len(items))
        return [2 * item for item in items]

    return work


def test_what_waits_together_is_worked_on_together_and_in_order() -> None:
    calls: list[int] = []

    async def run() -> list[int]:
        batcher = Batcher(double_all(calls), size=100)
        return list(await asyncio.gather(*(batcher(item) for item in range(30))))

    assert asyncio.run(run()) == [2 * item for item in range(30)]
    assert calls == [30]


def test_a_batch_is_never_larger_than_its_size() -> None:
    calls: list[int] = []

    async def run() -> list[int]:
        batcher = Batcher(double_all(calls), size=8)
        return list(await asyncio.gather(*(batcher(item) for item in range(20))))

    assert asyncio.run(run()) == [2 * item for item in range(20)]
    assert calls == [8, 8, 4]


def test_what_the_work_raises_reaches_everyone_who_waits() -> None:
    def work(items: Sequence[int]) -> list[int]:
        raise ValueError(f"no {len(items)}")

    async def run() -> list[object]:
        batcher = Batcher(work, size=10)
        return list(await asyncio.gather(*(batcher(item) for item in range(3)), return_exceptions=True))

    outcome = asyncio.run(run())
    assert [str(error) for error in outcome] == ["no 3"] * 3


def test_one_cancelled_coroutine_does_not_take_the_batch_from_the_others() -> None:
    async def run() -> int:
        batcher = Batcher(double_all([]), size=10)
        first, second = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(run()) == 4
