from __future__ import annotations

import gc

import pytest

from loralift.workflow import memory


@memory.looked_for_seldom()
def broken() -> None:
    raise ValueError(f"it looked after {gc.get_threshold()[0]}")


def test_it_is_looked_for_as_before_afterwards_even_after_an_error() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match=f"after {memory.SELDOM}"):
        broken()
    assert gc.get_threshold() == before
