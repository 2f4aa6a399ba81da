"""The state of running rows with a block cache: prefill of the rows that enter, and one forward pass a decode step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from loralift.generation.transformers_engine.loop import block_cache
from loralift.generation.transformers_engine.loop.block_cache import BLOCK, RowCache, Window
from loralift.generation.transformers_engine.sampling import Sampler
from loralift.generation.transformers_engine.stopping import left_pad
from loralift.records import Prompt


@contextmanager
def attending(base: Any, name: str) -> Iterator[None]:
    """Run a model with another attention of transformers' AttentionInterface, by its name; holds for all threads."""
    config = base.config
    own = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = own


class BlockSlots:
    """Slots for rows, and the tensors of each: KV cache, last token, position, and the sampler's.

    Attributes:
        window: Which columns of the cache the rows use; ``trim`` and ``compact`` change its ``rows`` and ``origin``.
    """

    attention = block_cache.NAME

    def __init__(
        self,
        model: Any,
        slots: int,
        sampler: Sampler,
        pad: int,
        shared: Sequence[int] = (),
    ) -> None:
        """Allocate all tensors but the cache's, which the first prefill allocates.

        Args:
            model: The transformers model (not PEFT's wrapper), one that the loop can run.
            slots: Most rows.
            sampler: Chooses the tokens, with as many slots.
            pad: The padding token's id.
            shared: The prefix of all prompts, shorter than each of them; computed once. In FiQA's prompts the
                instruction before each question is two thirds; their prefill then takes 0.45 times as long.
        """
        self.window = Window(slots)
        self._shared = tuple(shared)
        self._shares = False
        self._model = model
        self._pad = pad
        self._cache = RowCache(model.config.get_text_config().num_hidden_layers, self.window)
        self._starts = [0] * slots
        device = model.device
        self._hidden = torch.finfo(model.dtype).min
        self._bias = torch.zeros(slots, 1, 1, 0, dtype=model.dtype, device=device)
        # the tensors that move with a row
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._tokens)
        self._sampler = sampler

    def enter(self, slots: Sequence[int], prompts: Sequence[Prompt]) -> list[int]:
        """Prefill: compute prompts in one forward pass; returns the first token of each answer.

        Args:
            slots: Free slots, one for each prompt.
            prompts: The prompts; while rows run, none longer than the window.
        """
        window = self.window
        lengths = [len(prompt.token_ids) - len(self._shared) for prompt in prompts]
        if window.rows == 0:
            window.origin, window.end = 0, max(lengths)
        window.rows = max(window.rows, *(slot + 1 for slot in slots))
        for slot, length in zip(slots, lengths, strict=True):
            self._starts[slot] = window.end - length
        places = torch.tensor(slots, device=self._tokens.device)
        if self._shared and not self._shares:
            self._share()
        logits = self._compute(places, prompts)
        self._positions[places] = torch.tensor(lengths, device=places.device) + len(self._shared)
        tokens = self._sampler.first(logits, places, prompts)
        self._tokens[places] = tokens
        self._lay_bias()
        made: list[int] = tokens.tolist()
        return made

    def _compute(self, places: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        """The logits of each prompt's last token, prompts x vocabulary; writes their keys and values to the slots."""
        begun = len(self._shared)
        ids, mask = left_pad([prompt.token_ids[begun:] for prompt in prompts], self._pad, places.device)
        self.window.entering = places
        try:
            output = self._model(
                input_ids=ids,
                attention_mask=self._causal(mask) if begun or not mask.all() else None,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0) + begun,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        finally:
            self.window.entering = None
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _share(self) -> None:
        """Compute the prefix that all prompts share, once."""
        window = self.window
        ids = torch.tensor([self._shared], device=self._tokens.device)
        window.entering, window.sharing = torch.zeros(1, dtype=torch.long, device=ids.device), True
        try:
            places = torch.arange(ids.shape[1], device=ids.device)[None]
            self._model(
                input_ids=ids, position_ids=places, past_key_values=self._cache, use_cache=True, logits_to_keep=1
            )
        finally:
            window.entering, window.sharing = None, False
        self._shares = True

    def step(self) -> torch.Tensor:
        """A decode step: the next token of every row, as a tensor of ``rows`` token ids on the device."""
        window = self.window
        window.end += 1
        if len(self._shared) + window.blocks * BLOCK > self._bias.shape[-1]:
            self._lay_bias()
        rows = slice(0, window.rows)
        self._bias[rows, :, :, len(self._shared) + window.end - window.origin - 1] = 0.0
        output = self._model(
            input_ids=self._tokens[rows, None],
            attention_mask=self._bias[rows],
            position_ids=self._positions[rows, None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        tokens = self._sampler.next(output.logits[:, -1], rows)
        self._tokens[rows] = tokens
        self._positions[rows] += 1
        return tokens

    def trim(self, alive: Iterable[int]) -> None:
        """Free the columns that only ended rows used.

        Args:
            alive: The slots of the rows that still run; none: the window is emptied.
        """
        starts = [self._starts[slot] for slot in alive]
        if not starts:
            self.window.rows = 0
        elif self._cache.begin_at(min(starts)):
            self._lay_bias()

    def compact(self, source: Sequence[int], target: Sequence[int], rows: int) -> None:
        """Move rows from ``source`` to ``target`` slots, after which the first ``rows`` slots hold all running rows."""
        device = self._tokens.device
        if source:
            self._cache.move_rows(source, target, device)
            places, goals = torch.tensor(source, device=device), torch.tensor(target, device=device)
            for state in (self._tokens, self._positions, *self._sampler.states):
                state[goals] = state[places]
            for one, other in zip(source, target, strict=True):
                self._starts[other] = self._starts[one]
            self._lay_bias()
        self.window.rows = rows

    def _lay_bias(self) -> None:
        """Build the attention mask of decode steps, slots x 1 x 1 x columns.

        0 for the shared prefix and a row's own columns; the dtype's minimum before the row's start and after the end.
        """
        window, device = self.window, self._bias.device
        starts = torch.tensor(self._starts, device=device)[:, None, None, None]
        columns = torch.arange(window.origin, window.origin + window.blocks * BLOCK, device=device)
        hidden = (columns < starts) | (columns >= window.end)
        hidden = torch.nn.functional.pad(hidden, (len(self._shared), 0))
        self._bias = torch.zeros(hidden.shape, dtype=self._bias.dtype, device=device).masked_fill_(hidden, self._hidden)

    def _causal(self, mask: torch.Tensor) -> torch.Tensor:
        """The attention mask for the prefill of prompts padded on the left; rows x 1 x width x (shared + width).

        A padding token attends to itself, since the softmax over no token at all would be NaN.
        """
        width = mask.shape[1]
        places = torch.arange(width, device=mask.device)
        before = places[None, :] <= places[:, None]
        seen = before & (mask[:, None, None, :].bool() | (places[None, :] == places[:, None]))
        bias = torch.zeros(seen.shape, dtype=self._bias.dtype, device=mask.device).masked_fill_(~seen, self._hidden)
        return torch.nn.functional.pad(bias, (len(self._shared), 0))  # all tokens attend to the shared prefix
