"""The state of running rows on a GPU: packed rows without padding, and decode steps as CUDA graphs.

It takes the place of `block_slots.BlockSlots`. Each row has ``capacity`` columns of the cache to itself, from its first
token on, so entering rows do not depend on running ones, and moving a row to another slot moves only a few numbers. A
step of a large model launches a thousand small kernels; a CUDA graph replays them with one launch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from loralift.errors import first_line
from loralift.generation.transformers_engine.batching import is_out_of_memory
from loralift.generation.transformers_engine.loop import packed_attention
from loralift.generation.transformers_engine.sampling import Sampler
from loralift.records import Prompt

logger = logging.getLogger(__name__)


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values, each (slots * capacity) x heads x head dimension."""

    is_sliding = False

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places = places
        self.writing: torch.Tensor | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers, uninitialised: only columns that were written are read."""
        self.keys, self.values = (
            new.new_empty((self._places, new.shape[1], new.shape[3])) for new in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens' keys and values to the columns ``writing``; returns the whole buffers."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys.index_copy_(0, self.writing, key_states[0].transpose(0, 1))
        self.values.index_copy_(0, self.writing, value_states[0].transpose(0, 1))
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """0, and not used: lengths are known on the device only, positions are passed and no mask is built."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """As ``get_seq_length``: no mask is built."""
        return query_length, 0

    def get_max_length(self) -> int:
        """Columns of the buffers."""
        return self._places


class PackedSlots:
    """Slots for rows, and the tensors of each: its place in the KV cache, length, last token, and the sampler's."""

    attention = packed_attention.NAME

    def __init__(
        self,
        model: Any,
        slots: int,
        capacity: int,
        sampler: Sampler,
        shared: Sequence[int] = (),
        *,
        records: bool = False,
    ) -> None:
        """Allocate all tensors but the cache's, which the first prefill allocates.

        Args:
            model: The transformers model (not PEFT's wrapper), on a GPU that can pack rows.
            slots: Most rows.
            capacity: Columns of the cache for each row: tokens of the longest prompt with its answer.
            sampler: Chooses the tokens, with as many slots.
            shared: The prefix of all prompts, shorter than each of them; computed once.
            records: Whether decode steps are recorded as CUDA graphs.
        """
        self._model = model
        self._capacity = capacity
        self._shared = tuple(shared)
        self._shares = False
        self._rows = 0
        # one place more, for the shared prefix
        self._cache = Cache(
            layers=[_Layer((slots + 1) * capacity) for _ in range(model.config.get_text_config().num_hidden_layers)]
        )
        device = model.device
        # the tensors that move with a row
        self._places = torch.arange(slots + 1, device=device)
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._lengths = torch.zeros(slots, dtype=torch.int32, device=device)
        self._sampler = sampler
        self._one_each = torch.arange(slots + 1, dtype=torch.int32, device=device)
        self._graphs = StepGraphs(slots, records=records)

    def enter(self, slots: Sequence[int], prompts: Sequence[Prompt]) -> list[int]:
        """Prefill: compute prompts in one forward pass; returns the first token of each answer.

        Args:
            slots: Free slots, one for each prompt.
            prompts: The prompts.
        """
        if self._shared and not self._shares:
            self._prefill([len(self._one_each) - 1], [self._shared], 0)
            self._shares = True
        self._rows = max(self._rows, *(slot + 1 for slot in slots))
        begun = len(self._shared)
        logits = self._prefill(slots, [prompt.token_ids[begun:] for prompt in prompts], begun)
        at = torch.tensor(slots, device=self._tokens.device)
        self._lengths[at] = torch.tensor([len(prompt.token_ids) for prompt in prompts]).to(self._lengths)
        tokens = self._sampler.first(logits, at, prompts)
        self._tokens[at] = tokens
        made: list[int] = tokens.tolist()
        return made

    def step(self) -> torch.Tensor:
        """A decode step: the next token of every row, as a tensor of ``rows`` token ids on the device."""
        return self._graphs.run(self._compute_step, self._rows)

    def forget_steps(self) -> None:
        """Discard the recorded CUDA graphs: the variant was switched, and with it the tensors that they read."""
        self._graphs.forget()

    def trim(self, alive: Iterable[int]) -> None:
        """Empty the slots if no row runs; else there is nothing to free, as rows share no columns."""
        if not any(True for _ in alive):
            self._rows = 0

    def compact(self, source: Sequence[int], target: Sequence[int], rows: int) -> None:
        """Move rows from ``source`` to ``target`` slots, after which the first ``rows`` slots hold all running rows."""
        if source:
            device = self._tokens.device
            origins, goals = torch.tensor(source, device=device), torch.tensor(target, device=device)
            for state in (self._tokens, self._lengths, *self._sampler.states):
                state[goals] = state[origins]
            # swapped, so that each slot still has a place of its own in the cache for a row that enters
            self._places[torch.cat([goals, origins])] = self._places[torch.cat([origins, goals])]
        self._rows = rows

    def _compute_step(self, rows: int) -> torch.Tensor:
        """A decode step of the first ``rows`` slots; reads and writes tensors at fixed addresses only."""
        lengths, places = self._lengths[:rows], self._places[:rows]
        lengths += 1  # including the token whose keys are written now
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
        tokens = self._sampler.next(logits, slice(0, rows))
        self._tokens[:rows] = tokens
        # rows that have ended are still computed: they overwrite their own last column
        lengths.clamp_(max=self._capacity - 1)
        return tokens

    def _prefill(self, slots: Sequence[int], texts: Sequence[Sequence[int]], begun: int) -> torch.Tensor:
        """The logits of each text's last token, rows x vocabulary; writes their keys and values to the slots.

        Args:
            slots: The rows' slots; the number of slots stands for the place of the shared prefix.
            texts: The token ids to compute, without the shared prefix.
            begun: How many tokens the shared prefix before them has.
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
        """Copy the keys and values of the shared prefix to the beginning of the rows that enter."""
        columns = torch.arange(count, device=starts.device)
        targets = (starts[:, None] + columns).flatten()
        source = int(self._places[-1]) * self._capacity
        for layer in self._cache.layers:
            for buffer in (layer.keys, layer.values):
                buffer[targets] = buffer[source : source + count].repeat(len(starts), 1, 1)

    def _write_to(self, places: torch.Tensor) -> None:
        """Set the columns to which the next forward pass writes its tokens' keys and values."""
        for layer in self._cache.layers:
            layer.writing = places


type Step = Callable[[int], torch.Tensor]

# Fewest rows of a CUDA graph: fewer cost no less time, since a step then mostly reads the weights.
FEWEST_ROWS = 16


def size_of(rows: int, slots: int) -> int:
    """How many rows the CUDA graph for ``rows`` rows has: a few sizes per power of two, since each must be recorded."""
    unit = 1 << max((rows - 1).bit_length() - 2, 0)
    return min(max(-(-rows // unit) * unit, FEWEST_ROWS), slots)


class StepGraphs:
    """Decode steps as CUDA graphs, one for each size (number of rows), recorded when a size is needed the second time.

    The first time the step runs normally, so that libraries initialise themselves outside of the recording.

    Args:
        slots: Most rows.
        records: Whether device and model allow it; else steps always run normally.
    """

    def __init__(self, slots: int, *, records: bool) -> None:
        self._slots = slots
        self._records = records
        self._seen: set[int] = set()
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

    def run(self, step: Step, rows: int) -> torch.Tensor:
        """Run a decode step; returns the tokens of the first ``rows`` slots, which later steps do not overwrite.

        Args:
            step: Number of slots to the tokens of these slots; always the same function, which reads and writes only
                tensors at fixed addresses.
            rows: How many slots are needed.
        """
        if not self._records:
            return step(rows)
        size = size_of(rows, self._slots)
        if size not in self._seen:
            self._seen.add(size)
            return step(size)[:rows]
        if size not in self._graphs and not self._record(step, size):
            return step(rows)
        graph, tokens = self._graphs[size]
        graph.replay()
        return tokens[:rows].clone()

    def forget(self) -> None:
        """Discard all graphs: they read tensors that may no longer exist. Later steps are recorded anew."""
        self._graphs.clear()
        self._seen.clear()

    def _record(self, step: Step, size: int) -> bool:
        """Record a step as a CUDA graph. If the model cannot be recorded, all later steps run normally.

        Returns:
            Whether it was recorded.

        Raises:
            RuntimeError: Memory ran out.
        """
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        try:
            with torch.cuda.graph(graph, pool=pool):
                tokens = step(size)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            logger.warning("steps are not recorded, which is slower: %s", first_line(error))
            self._records = False
            return False
        self._graphs[size] = graph, tokens
        return True
