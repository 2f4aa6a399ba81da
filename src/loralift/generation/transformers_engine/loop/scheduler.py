"""Our own decoding loop, by continuous batching: when a row ends, the next waiting prompt takes its slot.

A decode step is one forward pass over all running rows. The KV cache is not copied, and only the new tokens are read
from the device, on a GPU only every few steps. On a CPU two batches may run in parallel threads, each on its share of
the cores; prompts are assigned to the batches beforehand, so that a run's rows are always in the same batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from loralift.cores import side_by_side, sides
from loralift.generation.base import GenerationSettings
from loralift.generation.transformers_engine.loop.block_slots import BlockSlots, attending
from loralift.generation.transformers_engine.loop.packed_slots import PackedSlots
from loralift.generation.transformers_engine.prefix import shared_tokens
from loralift.generation.transformers_engine.sampling import Sampler
from loralift.generation.transformers_engine.stopping import REPORT_EVERY, Decode, finish_row, stop_tail
from loralift.records import Answer, Prompt

# Share of rows that may have ended, and are still computed, before waiting prompts take their slots or the other rows
# are compacted. 149 answers of up to 144 tokens, 48 running: 1,935, 1,989, 1,811 and 1,442 tokens/s at a 64th, an
# eighth, a quarter and a half (one noisy round).
MOST_ENDED = 1 / 8

# Most prompt tokens of one prefill (on a CPU, on a GPU), which bounds the memory of its activations. On two cores 96
# FiQA prompts took a 135M model 4.2 s at 2048, 2.9 s at 512, 2.6 s at 256 and 128: rows of like lengths pad less,
# and the activations stay in the cache. A 5M model took 0.7, 0.54, 0.58 s at 2048, 512, 256.
PREFILL_TOKENS = 256
PREFILL_TOKENS_ACCELERATED = 16384

# Decode steps between two reads of the new tokens (on a CPU, on a GPU). The host needs them only to see which rows have
# ended, and reading makes it wait for the GPU.
READ_EVERY = 1
READ_EVERY_ACCELERATED = 8


def cache_columns(prompts: Sequence[Prompt], settings: GenerationSettings) -> int:
    """Columns of the KV cache that the longest prompt (the first) and its answer need."""
    return len(prompts[0].token_ids) + settings.max_new_tokens


@dataclass(slots=True)
class _Row:
    """A prompt that is being answered, its tokens so far and its share of the time."""

    prompt: Prompt
    made: list[int] = field(default_factory=list)
    stopped_after: int | None = None
    seconds: float = 0.0


class ContinuousBatch:
    """One batch: answers prompts with the variant that is switched on, a few decode steps a call."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        slots: int,
        eos: Sequence[int],
        pad: int,
        decode: Decode,
        *,
        packed: bool = False,
        records: bool = False,
    ) -> None:
        """Prepare the slots; the KV cache is allocated by the first ``advance``.

        Args:
            model: The transformers model (not PEFT's wrapper), one that the loop can run.
            prompts: Longest first, so that a waiting prompt is never longer than a running one; not empty.
            settings: How answers are generated.
            slots: Most running rows.
            eos: Ids of the tokens that end an answer.
            pad: The padding token's id.
            decode: Tokens to text.
            packed: Whether to use ``PackedSlots``; else ``BlockSlots``.
            records: Whether packed steps are recorded as CUDA graphs.
        """
        self.slots = min(slots, len(prompts))
        self._settings = settings
        self._eos = frozenset(eos)
        self._decode = decode
        self._tail = stop_tail(settings.stop)
        self._waiting = deque(prompts)
        self._rows: list[_Row | None] = []
        self._ended: list[_Row] = []
        self._shared = shared_tokens([prompt.token_ids for prompt in prompts])
        sampler = Sampler(settings, self.slots, model.device)
        self._state: BlockSlots | PackedSlots = (
            PackedSlots(model, self.slots, cache_columns(prompts, settings), sampler, self._shared, records=records)
            if packed
            else BlockSlots(model, self.slots, sampler, pad, self._shared)
        )
        cpu = model.device.type == "cpu"
        self._read_every = READ_EVERY if cpu else READ_EVERY_ACCELERATED
        self._prefill_tokens = PREFILL_TOKENS if cpu else PREFILL_TOKENS_ACCELERATED

    @property
    def attention(self) -> str:
        """Name, in transformers' AttentionInterface, of the attention that the model must use during ``advance``."""
        return self._state.attention

    @property
    def done(self) -> bool:
        """Whether every prompt is answered."""
        return not self._waiting and not self._running()

    @property
    def tokens(self) -> int:
        """Tokens that the running rows have generated so far."""
        return sum(len(row.made) for row in self._running())

    def forget_steps(self) -> None:
        """Discard recorded CUDA graphs, if there are any, since the variant was switched."""
        if isinstance(self._state, PackedSlots):
            self._state.forget_steps()

    def unanswered(self) -> list[Prompt]:
        """The prompts whose answers ``take_answers`` has not returned, longest first."""
        rest = [*(row.prompt for row in (*self._ended, *self._running())), *self._waiting]
        return sorted(rest, key=lambda prompt: (-len(prompt.token_ids), prompt.id))

    def advance(self, share: float = 1.0) -> None:
        """Run decode steps until a progress report is due; ``take_answers`` then returns the answers that ended.

        Args:
            share: Share of the elapsed time that counts for this batch, 1 / the number of batches running in parallel.
        """
        steps = 0
        with torch.inference_mode():
            while steps < REPORT_EVERY and not self.done:
                began, ended = time.perf_counter(), len(self._ended)
                self._make_room()
                if running := self._running():
                    count = min(self._read_every, *(self._settings.max_new_tokens - len(row.made) for row in running))
                    block = torch.stack([self._state.step() for _ in range(count)], dim=1).tolist()
                    for slot, tokens in enumerate(block):
                        self._take(slot, tokens)
                    steps += count
                present = [*self._running(), *self._ended[ended:]]
                seconds = share * (time.perf_counter() - began) / len(present)
                for row in present:
                    row.seconds += seconds

    def take_answers(self) -> list[Answer]:
        """The answers that ended since the last call; each step's time is divided equally among its rows."""
        answers = [self._answer(row) for row in self._ended]
        self._ended = []
        return answers

    def _running(self) -> list[_Row]:
        return [row for row in self._rows if row is not None]

    def _make_room(self) -> None:
        """If enough rows have ended, let waiting prompts take their slots, and compact the rows if slots stay free."""
        free = [slot for slot, row in enumerate(self._rows) if row is None]
        if len(free) < max(MOST_ENDED * len(self._rows), 1) and self._rows:
            return
        if len(free) == len(self._rows):
            self._rows = [None] * min(self.slots, len(self._waiting))
            free = list(range(len(self._rows)))
            self._state.trim(())
        else:
            self._state.trim(slot for slot, row in enumerate(self._rows) if row is not None)
        while free and self._waiting:
            free = free[self._enter(free) :]
        if free:
            self._compact()
        self._state.trim(slot for slot, row in enumerate(self._rows) if row is not None)

    def _enter(self, free: Sequence[int]) -> int:
        """Prefill as many waiting prompts as slots and PREFILL_TOKENS allow; returns how many."""
        longest = len(self._waiting[0].token_ids) - len(self._shared)
        count = min(len(free), len(self._waiting), max(self._prefill_tokens // longest, 1))
        slots = free[:count]
        prompts = [self._waiting[place] for place in range(count)]
        first = self._state.enter(slots, prompts)
        for slot, prompt, token in zip(slots, prompts, first, strict=True):
            self._waiting.popleft()
            self._rows[slot] = _Row(prompt)
            self._take(slot, [token])
        return count

    def _compact(self) -> None:
        """Move the last rows into free slots before them, so that running rows are in the first slots."""
        count = len(self._running())
        target = [slot for slot in range(count) if self._rows[slot] is None]
        source = [slot for slot in range(count, len(self._rows)) if self._rows[slot] is not None]
        self._state.compact(source, target, count)
        for one, other in zip(source, target, strict=True):
            self._rows[other] = self._rows[one]
        del self._rows[count:]

    def _take(self, slot: int, tokens: Sequence[int]) -> None:
        """Append new tokens to a row, until it ends; tokens of an ended row are discarded."""
        row = self._rows[slot]
        if row is None:
            return
        for token in tokens:
            row.made.append(token)
            if token in self._eos or len(row.made) == self._settings.max_new_tokens or self._stops(row):
                self._ended.append(row)
                self._rows[slot] = None
                return

    def _stops(self, row: _Row) -> bool:
        """Whether the last token completed a stop string; sets the row's ``stopped_after``."""
        if not self._settings.stop:
            return False
        tail = self._decode(row.made[-self._tail :])
        if any(text in tail for text in self._settings.stop):
            row.stopped_after = len(row.made)
        return row.stopped_after is not None

    def _answer(self, row: _Row) -> Answer:
        one = finish_row(row.made, row.stopped_after, tuple(self._eos), self._settings, self._decode)
        asked = len(row.prompt.token_ids)
        return one.answer(row.prompt.id, asked, row.seconds)


# Fewest slots of a batch. With fewer, reading the weights once for each batch costs more than parallel threads gain: a
# core computes some 25 operations in the time in which it reads a number from memory, and a row needs two a weight.
FEWEST_ROWS = 32


# Most batches in parallel threads. A step is many short operations, which Python starts one at a time. On 16 cores 648
# rows took 7.5 s with one batch, 6.3, 7.1, 13.6 and 36 s with 2, 4, 8 and 16.
MOST_BATCHES = 2


class Scheduler:
    """Answers prompts with the variant that is switched on, in one batch or, on a CPU, in two parallel ones."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        slots: int,
        begin: Callable[[Sequence[Prompt], int], ContinuousBatch],
        *,
        threads: bool = True,
    ) -> None:
        """Assign the prompts to batches; the KV cache is allocated by the first ``advance``.

        Args:
            model: The transformers model (not PEFT's wrapper), one that the loop can run.
            prompts: Longest first; not empty.
            slots: Most running rows, of all batches together.
            begin: Makes a batch from its prompts and its number of slots.
            threads: Whether several threads may run the model at the same time.
        """
        self.slots = min(slots, len(prompts))
        several = threads and model.device.type == "cpu"
        count = max(min(sides(), MOST_BATCHES, self.slots // FEWEST_ROWS), 1) if several else 1
        self._model = model
        self._batches = [begin(prompts[place::count], -(-(self.slots - place) // count)) for place in range(count)]

    @property
    def done(self) -> bool:
        """Whether every prompt is answered."""
        return all(batch.done for batch in self._batches)

    @property
    def tokens(self) -> int:
        """Tokens that the running rows have generated so far."""
        return sum(batch.tokens for batch in self._batches)

    def unanswered(self) -> list[Prompt]:
        """The prompts whose answers ``advance`` has not returned, longest first."""
        rest = [prompt for batch in self._batches for prompt in batch.unanswered()]
        return sorted(rest, key=lambda prompt: (-len(prompt.token_ids), prompt.id))

    def forget_steps(self) -> None:
        """Discard recorded CUDA graphs: the variant was switched, and with it the tensors that they read."""
        for batch in self._batches:
            batch.forget_steps()

    def advance(self) -> list[Answer]:
        """Run decode steps until a progress report is due; returns the answers that ended.

        Raises:
            RuntimeError: From torch, e.g. out of memory; answers that ended in this call then count as unanswered.
        """
        running = [batch for batch in self._batches if not batch.done]
        share = 1 / len(running)
        with attending(self._model, running[0].attention):
            side_by_side(lambda batch: batch.advance(share), running)
        return [answer for batch in running for answer in batch.take_answers()]
