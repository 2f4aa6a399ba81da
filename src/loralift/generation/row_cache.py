"""The keys and values of all rows in flight, in buffers that are written in place and never copied by a step.

transformers' DynamicCache concatenates, which copies everything at every step; its StaticCache attends over its whole
capacity. Here all rows share a window of columns, first..end. Each row ends at the window's end, so a step writes one
column of every row, and attention gets a view of the window. A row that comes later is written into the place of one
that has ended, with its last token at the window's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


@dataclass
class Window:
    """Where the rows are in the buffers, the same for all layers.

    Attributes:
        slots: Rows of the buffers.
        capacity: Columns of the buffers.
        rows: Rows that a step computes: the first so many.
        first: The first column that a row in flight uses.
        end: One beyond the last column.
        entering: The slots of the rows whose prompts are being computed; None in a step.
        shared: Tokens with which every prompt begins, whose keys and values are kept apart.
        shared_columns: Where they go for the rows that enter, rows x shared; None while they are being computed.
    """

    slots: int
    capacity: int
    rows: int = 0
    first: int = 0
    end: int = 0
    entering: torch.Tensor | None = None
    shared: int = 0
    shared_columns: torch.Tensor | None = None


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values, each slots x heads x capacity x head dimension."""

    is_sliding = False

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window
        self.shared: tuple[torch.Tensor, torch.Tensor] | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers; zeros, since what a mask hides must still be a number."""
        window = self.window
        self.keys, self.values = (
            new.new_zeros((window.slots, new.shape[1], window.capacity, new.shape[3]))
            for new in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new columns, and give what the queries attend over."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        window = self.window
        if window.entering is not None:
            return self._enter(key_states, value_states)
        begin = window.end - key_states.shape[2]
        keys, values = self.keys[: window.rows], self.values[: window.rows]
        keys[:, :, begin : window.end] = key_states
        values[:, :, begin : window.end] = value_states
        return keys[:, :, window.first : window.end], values[:, :, window.first : window.end]

    def _enter(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write rows that enter; they see nothing but themselves."""
        window = self.window
        rows, columns = window.entering, window.shared_columns
        if window.shared and columns is None:
            self.shared = keys.clone(), values.clone()
            return keys, values
        for buffer, new in ((self.keys, keys), (self.values, values)):
            buffer[rows, :, window.end - new.shape[2] : window.end] = new
        if rows is None or columns is None or self.shared is None:
            return keys, values
        # after the rest, whose padding lies where a shorter prompt's shared tokens go
        for buffer, shared in ((self.keys, self.shared[0]), (self.values, self.shared[1])):
            buffer[rows[:, None], :, columns] = shared.transpose(1, 2)
        before, ahead = (shared.expand(len(rows), -1, -1, -1) for shared in self.shared)
        return torch.cat([before, keys], dim=2), torch.cat([ahead, values], dim=2)

    def get_seq_length(self) -> int:
        """Columns before those of the present forward pass."""
        window = self.window
        if window.entering is not None:
            return 0 if window.shared_columns is None else window.shared
        return window.end - window.first - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns with those of the present forward pass, and the first one's place."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """Columns of the buffers."""
        return self.window.capacity

    def move_rows(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy rows to other slots, the window's columns only."""
        used = slice(self.window.first, self.window.end)
        for buffer in (self.keys, self.values):
            buffer[target, :, used] = buffer[source, :, used]

    def move_columns(self) -> None:
        """Copy the window's columns to the front."""
        window = self.window
        for buffer in (self.keys, self.values):
            used = buffer[: window.rows, :, window.first : window.end].clone()  # the two places may overlap
            buffer[: window.rows, :, : window.end - window.first] = used


class RowCache(Cache):  # type: ignore[misc]
    """What a transformers model takes as its past key values."""

    def __init__(self, layers: int, window: Window) -> None:
        super().__init__(layers=[_Layer(window) for _ in range(layers)])
        self.window = window

    def move_rows(self, source: Sequence[int], target: Sequence[int], device: torch.device) -> None:
        """Copy rows to other slots."""
        places = torch.tensor(source, device=device), torch.tensor(target, device=device)
        for layer in self.layers:
            layer.move_rows(*places)

    def move_to_front(self) -> int:
        """Free the columns before the window's; says how many they were."""
        window = self.window
        freed = window.first
        for layer in self.layers:
            layer.move_columns()
        window.first, window.end = 0, window.end - freed
        return freed
