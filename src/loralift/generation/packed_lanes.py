"""The device's side of rows in flight on a GPU: rows packed without padding, steps recorded and replayed.

What `lanes.Lanes` is elsewhere. Each row has a place in the cache and grows there from its first column, so a row
that comes later needs to know nothing of the others, and moving one costs a few numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from loralift.generation import packed_attention
from loralift.generation.base import GenerationSettings
from loralift.generation.drawing import Drawing
from loralift.generation.lanes import can_fly
from loralift.generation.step_graphs import StepGraphs, can_record
from loralift.records import Prompt


def can_pack(base: Any) -> bool:
    """Whether a model's rows can be packed: an ordinary decoder on a GPU that has the attention for it."""
    config = base.config.get_text_config()
    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return (
        can_fly(base)
        and not getattr(config, "v_head_dim", None)
        and packed_attention.is_there(base.device, base.dtype, heads, key_heads, width)
    )


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values, each (slots * capacity) x heads x head dimension."""

    is_sliding = False

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places = places
        self.writing: torch.Tensor | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers; what is not written is never read."""
        self.keys, self.values = (
            new.new_empty((self._places, new.shape[1], new.shape[3])) for new in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens' keys and values to their places; gives the whole buffers."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys.index_copy_(0, self.writing, key_states[0].transpose(0, 1))
        self.values.index_copy_(0, self.writing, value_states[0].transpose(0, 1))
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Not known on the host, and asked by nobody: positions are given, and there is no mask."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Likewise."""
        return query_length, 0

    def get_max_length(self) -> int:
        """Columns of the buffers."""
        return self._places


class PackedLanes:
    """Slots for rows, with all that the GPU keeps of each: its place in the cache, its length, last token, numbers."""

    attention = packed_attention.NAME

    def __init__(
        self,
        model: Any,
        slots: int,
        capacity: int,
        settings: GenerationSettings,
        shared: Sequence[int] = (),
    ) -> None:
        """Allocate all but the cache, which the first prompts bring.

        Args:
            model: The transformers model itself, which ``can_pack``.
            slots: Most rows.
            capacity: Columns of the cache a row: the longest prompt with its answer.
            settings: How tokens are drawn.
            shared: Tokens with which every prompt begins, each having more; computed once.
        """
        self._model = model
        self._capacity = capacity
        self._shared = tuple(shared)
        self._shares = False
        self._rows = 0
        # one place more, for the shared tokens
        self._cache = Cache(
            layers=[_Layer((slots + 1) * capacity) for _ in range(model.config.get_text_config().num_hidden_layers)]
        )
        device = model.device
        # all that moves with a row
        self._places = torch.arange(slots + 1, device=device)
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._lengths = torch.zeros(slots, dtype=torch.int32, device=device)
        self._drawing = Drawing(settings, slots, device)
        self._one_each = torch.arange(slots + 1, dtype=torch.int32, device=device)
        self._graphs = StepGraphs(slots, records=can_record(model, device))

    def enter(self, slots: Sequence[int], prompts: Sequence[Prompt]) -> list[int]:
        """Compute prompts, and give the first token of each answer.

        Args:
            slots: Where they go; free ones.
            prompts: As many.
        """
        if self._shared and not self._shares:
            self._prefill([len(self._one_each) - 1], [self._shared], 0)
            self._shares = True
        self._rows = max(self._rows, *(slot + 1 for slot in slots))
        begun = len(self._shared)
        logits = self._prefill(slots, [prompt.token_ids[begun:] for prompt in prompts], begun)
        lanes = torch.tensor(slots, device=self._tokens.device)
        self._lengths[lanes] = torch.tensor([len(prompt.token_ids) for prompt in prompts]).to(self._lengths)
        tokens = self._drawing.first(logits, lanes, prompts)
        self._tokens[lanes] = tokens
        made: list[int] = tokens.tolist()
        return made

    def step(self) -> torch.Tensor:
        """One more token of every row; rows, on the device."""
        return self._graphs.run(self._compute_step, self._rows)

    def trim(self, alive: Iterable[int]) -> None:
        """Forget all rows where none is alive; there are no columns to leave out."""
        if not any(True for _ in alive):
            self._rows = 0

    def compact(self, source: Sequence[int], target: Sequence[int], rows: int) -> None:
        """Move rows to other slots, so that the first ``rows`` slots hold all that are in flight."""
        if source:
            device = self._tokens.device
            lanes, goals = torch.tensor(source, device=device), torch.tensor(target, device=device)
            for state in (self._tokens, self._lengths, *self._drawing.states):
                state[goals] = state[lanes]
            # a slot that is left keeps the place of the row that was there, for one that enters
            self._places[torch.cat([goals, lanes])] = self._places[torch.cat([lanes, goals])]
        self._rows = rows

    def _compute_step(self, rows: int) -> torch.Tensor:
        """A step of the first ``rows`` slots, from tensors that stay where they are."""
        lengths, places = self._lengths[:rows], self._places[:rows]
        lengths += 1  # with the token whose keys are written now
        starts = places * self._capacity
        self._write_to(starts + lengths - 1)
        logits = self._model(
            input_ids=self._tokens[None, :rows],
            position_ids=(lengths - 1).long()[None],
            past_key_values=self._cache,
            use_cache=True,
            cu_seq_lens_q=self._one_each[: rows + 1],
            cu_seq_lens_k=torch.nn.functional.pad(starts, (0, 1)).int(),
            max_length_q=1,
            max_length_k=self._capacity,
            seqused_k=lengths,
        ).logits[0]
        tokens = self._drawing.next(logits, slice(0, rows))
        self._tokens[:rows] = tokens
        # rows that have ended are computed on; their last column is theirs to spoil
        lengths.clamp_(max=self._capacity - 1)
        return tokens

    def _prefill(self, slots: Sequence[int], texts: Sequence[Sequence[int]], begun: int) -> torch.Tensor:
        """The logits after each text, rows x vocabulary; its keys and values go to its slot.

        Args:
            slots: Of the rows; one beyond the others is the shared tokens'.
            texts: What is computed of each row.
            begun: Shared tokens before them.
        """
        device = self._tokens.device
        counts = torch.tensor([len(text) for text in texts])
        starts = self._places[torch.tensor(slots, device=device)] * self._capacity
        ends = counts.cumsum(0)
        columns = torch.arange(int(ends[-1])) - (ends - counts).repeat_interleave(counts) + begun
        rows = torch.arange(len(texts)).repeat_interleave(counts)
        positions = columns.to(device)
        if begun:
            self._copy_shared(starts, begun)
        self._write_to(starts[rows.to(device)] + positions)
        logits: torch.Tensor = self._model(
            input_ids=torch.tensor([token for text in texts for token in text], device=device)[None],
            position_ids=positions[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=(ends - 1).to(device),
            cu_seq_lens_q=torch.nn.functional.pad(ends, (1, 0)).to(device, torch.int32),
            cu_seq_lens_k=torch.nn.functional.pad(starts, (0, 1)).int(),
            max_length_q=int(counts.max()),
            max_length_k=self._capacity,
            seqused_k=(counts + begun).to(device, torch.int32),
        ).logits[0]
        return logits

    def _copy_shared(self, starts: torch.Tensor, count: int) -> None:
        """Put the keys and values of the shared tokens before those of rows that enter."""
        columns = torch.arange(count, device=starts.device)
        targets = (starts[:, None] + columns).flatten()
        source = int(self._places[-1]) * self._capacity
        for layer in self._cache.layers:
            for buffer in (layer.keys, layer.values):
                buffer[targets] = buffer[source : source + count].repeat(len(starts), 1, 1)

    def _write_to(self, places: torch.Tensor) -> None:
        """Say where the next forward pass puts each token's keys and values."""
        for layer in self._cache.layers:
            layer.writing = places
