"""The next token of each row in flight: the most likely one, or one drawn with numbers that are the row's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from loralift.generation.base import GenerationSettings
from loralift.generation.decoding import draw, exact_dtype, uniform
from loralift.records import Prompt


class Drawing:
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
        numbers = self._numbers[rows].gather(1, self._steps[rows, None])
        return draw(logits, numbers, settings.temperature, settings.top_p)
