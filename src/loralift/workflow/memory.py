"""What 100,000 rows leave behind: searched for seldom, given back at once."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 100_000
"""New objects after which it looks; Python's own choice is 700 to 2,000."""


@contextmanager
def looked_for_seldom() -> Iterator[None]:
    """While many small objects are made and kept: looking among them took a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_back() -> None:
    """Give the system back what is free between the pieces of memory in use, which glibc keeps.

    Reading 100,000 rows leaves 150 MB of it behind, reading as many answers another 140 MB.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
