"""Python's search for garbage, kept from looking at 100,000 rows again and again."""

from __future__ import annotations

import gc
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
