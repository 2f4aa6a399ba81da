"""Run several batches in parallel threads on a CPU, each with its share of torch's threads.

One batch on two threads is slower than two batches on one thread each: torch computes small operations on one thread,
and must wake its threads before each larger one. On two cores parallel batches made a fifth more tokens a second, and a
quarter more likelihoods. A GPU runs one batch at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

# Most parallel threads. Python starts the operations of all of them, one at a time: on 16 cores 648 short references
# took a small model 3.4 s with one thread, 2.5, 2.2, 2.0 and 1.9 s with 2, 4, 8 and 16.
MOST_SIDES = 8


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sides() -> int:
    """How many batches are worth running in parallel: torch's number of threads, at most ``MOST_SIDES``."""
    import torch

    threads: int = torch.get_num_threads()
    return min(threads, MOST_SIDES)


def side_by_side[Item, Result](
    function: Callable[[Item], Result], items: Sequence[Item], *, same_share: bool = False, threads: int | None = None
) -> list[Result]:
    """Call a function for each item in parallel threads; results in the items' order.

    Args:
        function: Called in other threads; must spend its time in torch, which releases Python's GIL.
        items: Any number; those that take longest first.
        same_share: Whether each gets as many of torch's threads as if there were enough items for all: with how many a
            sum is computed may change its last bits. Else few items share all threads.
        threads: Of torch for each, whatever this process has; None: its share.

    Raises:
        Exception: The first one that the function raised; calls that had not begun are cancelled.
    """
    shares = sides() if same_share or threads else min(sides(), len(items))
    if shares < 2:  # torch has a single thread, or there is at most one item, which may have all
        return [function(item) for item in items]
    with _threads_shared(shares, threads), ThreadPoolExecutor(shares) as pool:
        # torch gives each new thread of the pool as many threads of its own as are set now
        begun = [pool.submit(function, item) for item in items]
        try:
            ended, _ = wait(begun, return_when=FIRST_EXCEPTION)
            for one in ended:
                one.result()
        except BaseException:  # also Ctrl-C, which must not wait for thousands of calls
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in begun]


@contextmanager
def _threads_shared(count: int, each: int | None) -> Iterator[None]:
    """Divide torch's threads among ``count`` parallel calls, or give each so many; restores their number afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(each or max(threads // count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
