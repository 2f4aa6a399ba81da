"""Work side by side: all is done, in order, on a share of the threads, and what goes wrong is told at the end."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from loralift import cores
from loralift.cores import side_by_side


@pytest.fixture(autouse=True)
def _four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_results_are_in_order_and_threads_are_given_back():
    seen = []
    assert side_by_side(lambda item: seen.append(torch.get_num_threads()) or -item, range(9)) == [
        -item for item in range(9)
    ]
    assert set(seen) == {1}
    assert torch.get_num_threads() == 4


def test_two_items_share_the_threads_and_one_has_them_all():
    assert side_by_side(lambda _: torch.get_num_threads(), range(2)) == [2, 2]
    assert side_by_side(lambda _: (torch.get_num_threads(), threading.current_thread().name), [0]) == [
        (4, threading.current_thread().name)
    ]
    assert side_by_side(str, []) == []


def test_they_run_at_the_same_time():
    barrier = threading.Barrier(4, timeout=10)
    assert sorted(side_by_side(lambda _: barrier.wait(), range(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_when_one_goes_wrong_the_others_are_not_begun(error):
    done = []

    def work(item):
        if item == 1:
            raise error("no memory")
        time.sleep(0.05)
        done.append(item)

    with pytest.raises(error, match="no memory"):
        side_by_side(work, range(500))
    assert len(done) < 400
    assert torch.get_num_threads() == 4


def test_as_many_sides_as_threads_up_to_a_limit():
    assert cores.sides() == 4
    torch.set_num_threads(1)
    assert cores.sides() == 1
    torch.set_num_threads(2 * cores.MOST_SIDES)
    assert cores.sides() == cores.MOST_SIDES
