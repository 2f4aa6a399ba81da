"""The device's side of running rows: one forward pass for the prompts that enter, one a step for all rows."""

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
    """A model's attention replaced by another of transformers' interface, for all threads."""
    config = base.config
    own = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = own


class BlockSlots:
    """Slots for rows, with all that the device keeps of each: its cache, last token, position and random numbers.

    Attributes:
        window: Where the rows are in the cache. Its ``rows`` and ``origin`` follow ``trim`` and ``compact``.
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
        """Allocate all but the cache, which the first prompts bring.

        Args:
            model: The transformers model itself, which the loop takes.
            slots: Most rows.
            sampler: Chooses the tokens of as many rows.
            pad: The padding token.
            shared: Tokens with which every prompt begins, each having more; computed once. An instruction before each
                question is two thirds of FiQA's prompts, which then take 0.45 times as long.
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
        # all that moves with a row
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._tokens)
        self._sampler = sampler

    def enter(self, slots: Sequence[int], prompts: Sequence[Prompt]) -> list[int]:
        """Compute prompts, and give the first token of each answer.

        Args:
            slots: Where they go; free ones.
            prompts: As many; none longer than the window, unless no row runs.
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
        """The logits after each prompt; its keys and values go to its slot."""
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
        """Compute, once, the tokens with which all prompts begin."""
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
        """One more token of every row; rows, on the device."""
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
        """Leave out the columns that only rows which have ended used.

        Args:
            alive: The slots of the others; with none, no row runs.
        """
        starts = [self._starts[slot] for slot in alive]
        if not starts:
            self.window.rows = 0
        elif self._cache.begin_at(min(starts)):
            self._lay_bias()

    def compact(self, source: Sequence[int], target: Sequence[int], rows: int) -> None:
        """Move rows to other slots, so that the first ``rows`` slots hold all that are running."""
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
        """What attention adds to the columns of each row: nothing to the shared ones and from its start to the end."""
        window, device = self.window, self._bias.device
        starts = torch.tensor(self._starts, device=device)[:, None, None, None]
        columns = torch.arange(window.origin, window.origin + window.blocks * BLOCK, device=device)
        hidden = (columns < starts) | (columns >= window.end)
        hidden = torch.nn.functional.pad(hidden, (len(self._shared), 0))
        self._bias = torch.zeros(hidden.shape, dtype=self._bias.dtype, device=device).masked_fill_(hidden, self._hidden)

    def _causal(self, mask: torch.Tensor) -> torch.Tensor:
        """What attention adds for prompts padded on the left; rows x 1 x width x (shared + width).

        A padding token sees itself: a softmax over nothing would be NaN.
        """
        width = mask.shape[1]
        places = torch.arange(width, device=mask.device)
        before = places[None, :] <= places[:, None]
        seen = before & (mask[:, None, None, :].bool() | (places[None, :] == places[:, None]))
        bias = torch.zeros(seen.shape, dtype=self._bias.dtype, device=mask.device).masked_fill_(~seen, self._hidden)
        return torch.nn.functional.pad(bias, (len(self._shared), 0))  # the shared tokens are seen by all
