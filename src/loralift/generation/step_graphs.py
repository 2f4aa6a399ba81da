"""Decoding steps recorded as CUDA graphs: a step of a large model is a thousand small launches, replayed as one."""

from __future__ import annotations

from collections.abc import Callable

import torch

type Step = Callable[[int], torch.Tensor]

# Fewer rows cost no less: a step then reads the weights and little else.
FEWEST_ROWS = 16


def size_of(rows: int, slots: int) -> int:
    """How many rows the recorded step for so many has: two sizes an octave, since each must be recorded."""
    unit = 1 << max((rows - 1).bit_length() - 2, 0)
    return min(max(-(-rows // unit) * unit, FEWEST_ROWS), slots)


class StepGraphs:
    """Steps by their number of rows, each recorded when it is wanted a second time.

    The first time it is run as it is, which lets libraries set themselves up outside of the recording.

    Args:
        slots: Most rows.
        records: Whether the device and the model can.
    """

    def __init__(self, slots: int, *, records: bool) -> None:
        self._slots = slots
        self._records = records
        self._seen: set[int] = set()
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

    def run(self, step: Step, rows: int) -> torch.Tensor:
        """Do a step; the tokens of the first ``rows`` slots, which the next step does not overwrite.

        Args:
            step: Computes a step of the first so many slots, all from tensors that stay where they are, and returns
                their tokens; always the same.
            rows: How many are wanted.
        """
        if not self._records:
            return step(rows)
        size = size_of(rows, self._slots)
        if size not in self._seen:
            self._seen.add(size)
            return step(size)[:rows]
        if size not in self._graphs:
            self._graphs[size] = self._record(step, size)
        graph, tokens = self._graphs[size]
        graph.replay()
        return tokens[:rows].clone()

    def _record(self, step: Step, size: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):
            tokens = step(size)
        return graph, tokens


def can_record(base: object, device: torch.device) -> bool:
    """Whether a model's steps can be recorded: its code asks nothing of the numbers that it computes.

    Args:
        base: The transformers model, which says so of itself.
        device: Where it lies.
    """
    config = base.config.get_text_config()  # type: ignore[attr-defined]
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # these look at the longest row to choose their frequencies
    looks = str(scaling.get("rope_type", "default")) in ("dynamic", "longrope")
    return device.type == "cuda" and not looks and bool(getattr(base, "_can_compile_fullgraph", False))
