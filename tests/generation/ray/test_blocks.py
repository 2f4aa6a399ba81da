"""How rows are parted into blocks, and where workers find room."""

from __future__ import annotations

import pickle

import pytest

from loralift.errors import MissingExtraError, UsageError
from loralift.generation.ray.blocks import parted
from loralift.generation.ray.cluster import Room, room_for, why
from loralift.generation.ray.worker import in_parts


@pytest.mark.parametrize("rows", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("full", [1, 16, 1024])
def test_blocks_are_all_rows_once_longest_first_and_none_is_larger_than_the_one_before(rows, workers, full):
    wanted = {str(n): n for n in range(rows)}
    blocks = parted(wanted, workers, full)
    assert sorted(key for block in blocks for key in block.rows) == sorted(wanted)
    assert all(list(block.rows.values()) == sorted(block.rows.values()) for block in blocks)
    sizes = [len(block.rows) for block in blocks]
    assert sizes == sorted(sizes, reverse=True)
    assert all(sizes)


def test_a_gpu_gets_one_block_while_that_fills_it_and_a_cpu_several():
    rows = {str(n): n for n in range(648)}
    assert [len(block.rows) for block in parted(rows, 2, 1024)] == [324, 324]
    assert [len(block.rows) for block in parted(rows, 2, 64)] == [216, 216, 108, 108]
    assert [len(block.rows) for block in parted(rows, 1, 64)] == [648]  # who would wait for whom?
    # longest first, so that each has as many long ones
    assert [list(block.rows)[:2] for block in parted(rows, 2, 1024)] == [["0", "2"], ["1", "3"]]


def test_rows_that_are_done_together_are_in_one_block():
    rows = {str(n): n for n in range(100)}
    batches = [list(rows)[begin : begin + 30] for begin in range(0, 100, 30)]
    blocks = parted(rows, 2, 16, batches)
    assert [len(block.rows) for block in blocks] == [60, 30, 10]
    assert [[list(batch) for batch in block.batches] for block in blocks] == [
        [batches[0], batches[2]],
        [batches[1]],
        [batches[3]],
    ]


def test_of_a_batch_that_is_not_done_all_rows_are_asked_again():
    rows = {str(n): n for n in range(6)}
    (block,) = parted(rows, 1, 6, [["0", "1"], ["2", "3"], ["4", "5"]])
    assert block.whole == rows
    for key in ("0", "1", "2"):
        del block.rows[key]
    assert list(block.whole) == ["2", "3", "4", "5"]
    (alone,) = parted(rows, 1, 6)
    del alone.rows["0"]
    assert list(alone.whole) == ["1", "2", "3", "4", "5"]


NODES = [{"CPU": 16.0, "GPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 3.0}]


@pytest.mark.parametrize(
    ("workers", "device", "gpus", "room"),
    [
        ("auto", None, 1, Room(9, 2, 1)),
        ("auto", None, 2, Room(4, 4, 2)),  # none on the machine of one GPU
        (3, None, 1, Room(3, 5, 1)),
        (4, "cpu", 1, Room(4, 4, 0)),
        (23, "cpu", 1, Room(23, 1, 0)),
    ],
)
def test_each_worker_gets_its_share(workers, device, gpus, room):
    assert room_for(workers, NODES, device, gpus) == room


@pytest.mark.parametrize(
    ("workers", "nodes", "device", "gpus", "said"),
    [
        (24, NODES, "cpu", 1, "`--workers` must be at most 23, each with a core of one machine, got 24"),
        (10, NODES, None, 1, "must be at most 9, each with 1 of 9 GPUs of one machine, got 10"),
        (5, NODES, None, 2, "must be at most 4, each with 2 of 9 GPUs of one machine, got 5"),
        (1, [{"CPU": 2.0}], "cuda", 1, "must be at most 0, each with 1 of 0 GPUs"),
        ("auto", [{"CPU": 2.0}], None, 1, "auto is one a GPU, and Ray finds none: give a number, at most 2"),
    ],
)
def test_more_than_there_is_room_for_is_refused(workers, nodes, device, gpus, said):
    with pytest.raises(UsageError) as refused:
        room_for(workers, nodes, device, gpus)
    assert said in str(refused.value)


def test_records_come_in_parts():
    assert list(in_parts(range(3), seconds=0)) == [[0], [1], [2]]
    assert list(in_parts(range(3), seconds=60)) == [[0, 1, 2]]
    assert list(in_parts([])) == []


def test_what_ray_says_of_a_death_is_one_line():
    cause = "its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: End of file"
    advice = "Some common causes include: (1) the process was killed by the OOM killer"
    assert why(f"The actor died unexpectedly.\n\tpid: 7\nThe actor is dead because {cause}. {advice}") == cause
    assert why("something else\nand more") == "something else"


def test_an_error_of_two_arguments_comes_whole_from_another_process():
    error = pickle.loads(pickle.dumps(MissingExtraError("`--engine vllm`", "vllm")))
    assert (str(error), error.extra) == (str(MissingExtraError("`--engine vllm`", "vllm")), "vllm")
