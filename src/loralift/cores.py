"""Work side by side on a processor: several batches at once, each on its share of the threads.

One batch on two threads is slower than two batches on a thread each: torch computes small operations on one thread, and
before each larger one its threads must be woken. Two CPU cores made a fifth more tokens a second so, and a quarter more
likelihoods. A GPU has one batch at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

# Python hands all sides their operations, one at a time. On 16 cores 648 short references took a small model 3.4 s
# with one side, 2.5, 2.2, 2.0 and 1.9 s with 2, 4, 8 and 16.
MOST_SIDES = 8


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sides() -> int:
    """How many batches gain from being computed side by side on the processor."""
    import torch

    threads: int = torch.get_num_threads()
    return min(threads, MOST_SIDES)


def side_by_side[Item, Result](function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What a function makes of each item, computed by torch on the processor; one item is left all threads.

    Args:
        function: Whose time is torch's, which lets go of Python meanwhile; called in other threads.
        items: Any number; those that take longest first.

    Raises:
        Exception: One that the function raised; calls that had not begun are left out then.
    """
    count = min(sides(), len(items))
    if count < 2:
        return [function(item) for item in items]
    with _threads_shared(count), ThreadPoolExecutor(count) as pool:
        # the pool's threads are new: torch gives each as many threads of its own as are set now
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
def _threads_shared(count: int) -> Iterator[None]:
    """Torch's threads divided among so many sides."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads // count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
