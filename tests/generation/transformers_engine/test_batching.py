"""Halving on out-of-memory, and what counts as such."""

from __future__ import annotations

import pytest
import torch

from loralift.errors import ModelError
from loralift.generation.transformers_engine.batching import FIRST_ROWS, RowLimit, is_out_of_memory, run_in_batches


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_finished_batches_are_kept_and_the_size_that_worked_is_remembered():
    limit, tried = RowLimit(8), []

    def run(batch):
        tried.append(list(batch))
        if len(batch) > 4 or (len(batch) > 2 and 7 in batch):
            raise torch.OutOfMemoryError
        return [-row for row in batch]

    assert list(run_in_batches(range(10), limit, run)) == [-row for row in range(10)]
    assert [len(batch) for batch in tried] == [8, 4, 4, 2, 2, 2]
    assert limit.rows == 2


def test_results_come_as_their_batch_completes():
    done = []

    def run(batch):
        done.extend(batch)
        return batch

    results = run_in_batches(range(4), RowLimit(2), run)
    assert (next(results), done) == (0, [0, 1])


def test_a_row_that_never_fits_is_a_model_error():
    def run(_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore lines")

    with pytest.raises(ModelError, match=r"a single row.*\(CUDA out of memory\.\)"):
        list(run_in_batches([1], RowLimit(), run))


def test_fits_bounds_a_batch_without_lowering_the_limit():
    limit, sizes = RowLimit(), []

    def run(batch):
        sizes.append(len(batch))
        return batch

    assert list(run_in_batches(range(7), limit, run, lambda rest: min(3, len(rest)))) == list(range(7))
    assert (sizes, limit.rows) == ([3, 3, 1], FIRST_ROWS)


def test_several_batches_run_before_their_results_are_given():
    seen = []
    results = run_in_batches(
        range(10), RowLimit(2), lambda batch: [-row for row in batch], before=lambda: seen.append("before"), at_once=3
    )
    assert [next(results) for _ in range(6)] == [0, -1, -2, -3, -4, -5]
    assert seen == ["before"]
    assert list(results) == [-6, -7, -8, -9]
    assert seen == ["before", "before"]


def test_when_one_of_several_batches_runs_out_of_memory_all_run_again_smaller():
    def run(batch):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return [-row for row in batch]

    limit = RowLimit(4)
    assert list(run_in_batches(range(11), limit, run, at_once=2)) == [-row for row in range(11)]
    assert limit.rows == 2
