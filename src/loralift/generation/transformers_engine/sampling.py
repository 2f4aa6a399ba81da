"""The next token of each row: the most likely one, or one drawn with numbers that are the row's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from loralift.generation.base import GenerationSettings
from loralift.records import Prompt


class Sampler:
    """How far each slot's row is, and its random numbers, in tensors that stay where they are.

    Args:
        settings: How tokens are drawn.
        slots: Most rows.
        device: Where.
    """

    def __init__(self, settings: GenerationSettings, slots: int, device: torch.device) -> None:
        self._settings = settings
        self._steps = torch.zeros(slots, dtype=torch.long, device=device)
        numbers = settings.max_new_tokens if settings.temperature > 0 else 0
        self._numbers = torch.zeros(slots, numbers, dtype=exact_dtype(device), device=device)

    @property
    def states(self) -> tuple[torch.Tensor, ...]:
        """What moves with a row, slots first."""
        return self._steps, self._numbers

    def first(self, logits: torch.Tensor, places: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        """The first token of rows that enter.

        Args:
            logits: Behind their prompts, rows x vocabulary.
            places: Their slots.
            prompts: As many.
        """
        self._steps[places] = 0
        if self._settings.temperature > 0:
            rows = [uniform(self._settings.seed, prompt.id, self._settings.max_new_tokens) for prompt in prompts]
            self._numbers[places] = torch.stack(rows).to(self._numbers)
        return self.next(logits, places)

    def next(self, logits: torch.Tensor, rows: Any) -> torch.Tensor:
        """The next token of each row.

        Args:
            logits: Rows x vocabulary.
            rows: Their slots.
        """
        tokens = self._pick(logits, rows)
        self._steps[rows] += 1
        return tokens

    def _pick(self, logits: torch.Tensor, rows: Any) -> torch.Tensor:
        settings = self._settings
        if settings.temperature == 0:
            return logits.argmax(dim=-1)
        # a row that has ended is computed on until another takes its place: what it draws is thrown away
        steps = self._steps[rows].clamp(max=self._numbers.shape[1] - 1)
        numbers = self._numbers[rows].gather(1, steps[:, None])
        return draw(logits, numbers, settings.temperature, settings.top_p)


class CommonRandomNumbers:
    """A logits processor that samples: with numbers fixed by seed, prompt and position.

    Each token is drawn by inverting the cumulative distribution at such a number. So a prompt's answer depends
    neither on the batch it is in nor on what was generated before, and the base and an adapter draw with common random
    numbers: where their distributions agree they take the same token, which takes the sampling's noise out of their
    difference. All scores but the drawn token's become -inf, for greedy decoding to take it.
    """

    def __init__(self, ids: Sequence[str], seed: int, temperature: float, top_p: float, steps: int) -> None:
        self._uniform = torch.stack([uniform(seed, key, steps) for key in ids])
        self._temperature = temperature
        self._top_p = top_p
        self._step = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores, rows x vocabulary, that leave one token each."""
        numbers = self._uniform[:, self._step, None].to(scores.device, exact_dtype(scores.device))
        token = draw(scores, numbers, self._temperature, self._top_p)
        self._step += 1
        return torch.full_like(scores, float("-inf")).scatter(1, token[:, None], 0.0)


def draw(scores: torch.Tensor, numbers: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Draw a token for each row by inverting its cumulative distribution.

    Args:
        scores: Logits, rows x vocabulary.
        numbers: Where to invert it, in [0, 1); rows x 1, of ``exact_dtype``.
        temperature: Above 0.
        top_p: Nucleus, in (0, 1].
    """
    likely = torch.softmax(scores.to(numbers.dtype) / temperature, dim=-1)
    if top_p < 1:
        likely = _nucleus(likely, top_p)
    cumulative = likely.cumsum(dim=-1)
    # the first token whose cumulative probability exceeds the number; tokens of probability 0 never do so first
    token = torch.searchsorted(cumulative, numbers * cumulative[:, -1:], right=True)
    return token.clamp(max=scores.shape[-1] - 1).squeeze(-1)


def exact_dtype(device: torch.device) -> torch.dtype:
    """float64, which keeps the sum over 128k tokens exact enough for the last of them; mps has none."""
    return torch.float32 if device.type == "mps" else torch.float64


def _nucleus(likely: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest most likely tokens whose probabilities sum to top_p (Holtzman et al., 2020)."""
    ordered, order = likely.sort(dim=-1, descending=True)
    beyond = ordered.cumsum(dim=-1) - ordered >= top_p
    return likely.masked_fill(beyond.scatter(1, order, beyond), 0.0)


def uniform(seed: int, key: str, steps: int) -> torch.Tensor:
    """Numbers in [0, 1), one a step, always the same for a seed and a prompt's id."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    # 63 bits, since torch takes signed seeds
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    return torch.rand(steps, generator=generator, dtype=torch.float64)
