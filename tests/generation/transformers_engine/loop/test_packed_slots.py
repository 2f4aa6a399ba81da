"""Recorded steps, without a GPU: what is replayed, what is recorded anew, and what cannot be recorded."""

from __future__ import annotations

import inspect
from contextlib import contextmanager

import pytest
import torch

from loralift.generation.transformers_engine.loop.packed_slots import StepGraphs


class Graph:
    """In place of a CUDA graph: what was recorded is called again."""

    def __init__(self):
        self.replays = 0

    def pool(self):
        return None

    def replay(self):
        self.replays += 1


def recording_of(body):
    """In place of ``torch.cuda.graph``: called as that is."""
    real = inspect.signature(torch.cuda.graph)

    @contextmanager
    def recording(*args, **settings):
        real.bind(*args, **settings)
        yield
        body()

    return recording


@pytest.fixture
def graphs(monkeypatch):
    assert all(hasattr(torch.cuda.CUDAGraph, name) for name in ("pool", "replay"))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording_of(lambda: None))
    return StepGraphs(32, records=True)


def step_of(called):
    def step(rows):
        called.append(rows)
        return torch.arange(rows)

    return step


def test_a_step_is_recorded_the_second_time_and_replayed_from_then_on(graphs):
    called = []
    for _ in range(5):
        assert graphs.run(step_of(called), 20).tolist() == list(range(20))
    assert called == [24, 24]  # of a size that is recorded


def test_what_is_forgotten_is_recorded_anew(graphs):
    called = []
    for _ in range(3):
        graphs.run(step_of(called), 20)
    graphs.forget()
    for _ in range(3):
        graphs.run(step_of(called), 20)
    assert called == [24] * 4


def test_a_step_that_cannot_be_recorded_is_computed_step_by_step(graphs, monkeypatch, caplog):
    def broken():
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    monkeypatch.setattr(torch.cuda, "graph", recording_of(broken))
    called = []
    for _ in range(4):
        assert graphs.run(step_of(called), 20).tolist() == list(range(20))
    assert len(called) == 5  # once in vain
    assert "steps are not recorded, which is slower: operation not permitted" in caplog.text


def test_memory_that_runs_out_in_recording_is_told(graphs, monkeypatch):
    def broken():
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "graph", recording_of(broken))
    graphs.run(step_of([]), 20)
    with pytest.raises(torch.OutOfMemoryError):
        graphs.run(step_of([]), 20)
