"""Choose the next token of each row: the most likely one, or one sampled with random numbers that belong to the row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from loralift.generation.base import GenerationSettings
from loralift.records import Prompt


class Sampler:
    """Chooses the next token of the row in each slot, greedily or by sampling, for our own decoding loop.

    It keeps each slot's number of steps and random numbers, in tensors at fixed addresses, as CUDA graphs need.

    Args:
        settings: Temperature, top_p, seed and most new tokens.
        slots: Most rows.
        device: The model's device.
    """

    def __init__(self, settings: GenerationSettings, slots: int, device: torch.device) -> None:
        self._settings = settings
        self._steps = torch.zeros(slots, dtype=torch.long, device=device)
        numbers = settings.max_new_tokens if settings.temperature > 0 else 0
        self._numbers = torch.zeros(slots, numbers, dtype=exact_dtype(device), device=device)

    @property
    def states(self) -> tuple[torch.Tensor, ...]:
        """The tensors of each slot, slots x ..., which are to be moved with a row to another slot."""
        return self._steps, self._numbers

    def first(self, logits: torch.Tensor, places: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        """The first token of rows that enter slots.

        Args:
            logits: Those of each prompt's last token, rows x vocabulary.
            places: The rows' slots.
            prompts: The rows' prompts.
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
            rows: The rows' slots: an index tensor or a slice.

        Returns:
            Token ids, one for each row.
        """
        tokens = self._pick(logits, rows)
        self._steps[rows] += 1
        return tokens

    def _pick(self, logits: torch.Tensor, rows: Any) -> torch.Tensor:
        settings = self._settings
        if settings.temperature == 0:
            return logits.argmax(dim=-1)
        # a row that has ended is still computed until another takes its slot; its tokens are discarded
        steps = self._steps[rows].clamp(max=self._numbers.shape[1] - 1)
        numbers = self._numbers[rows].gather(1, steps[:, None])
        return sample(logits, numbers, settings.temperature, settings.top_p)


class CommonRandomNumbers:
    """A logits processor for ``generate`` that samples with random numbers fixed by seed, prompt and position.

    Each token is sampled by inverting the cumulative distribution at such a number. So an answer depends neither on
    the other rows of its batch nor on batches before it. Base and adapters use common random numbers: where their
    distributions agree they choose the same token, which reduces the noise of sampling in their difference. All scores
    but the sampled token's become -inf, so that greedy decoding chooses that token.
    """

    def __init__(self, ids: Sequence[str], seed: int, temperature: float, top_p: float, steps: int) -> None:
        self._uniform = torch.stack([uniform(seed, key, steps) for key in ids])
        self._temperature = temperature
        self._top_p = top_p
        self._step = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores, rows x vocabulary: 0 for the sampled token of each row, -inf for all others."""
        numbers = self._uniform[:, self._step, None].to(scores.device, exact_dtype(scores.device))
        token = sample(scores, numbers, self._temperature, self._top_p)
        self._step += 1
        return torch.full_like(scores, float("-inf")).scatter(1, token[:, None], 0.0)


def sample(scores: torch.Tensor, numbers: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Sample a token for each row by inverting its cumulative distribution; token ids, one for each row.

    Args:
        scores: Logits, rows x vocabulary.
        numbers: Uniform random numbers in [0, 1), rows x 1, of ``exact_dtype``.
        temperature: Above 0.
        top_p: Nucleus, in (0, 1].
    """
    likely = torch.softmax(scores.to(numbers.dtype) / temperature, dim=-1)
    if top_p < 1:
        likely = _nucleus(likely, top_p)
    cumulative = likely.cumsum(dim=-1)
    # the first token whose cumulative probability exceeds the number, which is never one of probability 0
    token = torch.searchsorted(cumulative, numbers * cumulative[:, -1:], right=True)
    return token.clamp(max=scores.shape[-1] - 1).squeeze(-1)


def exact_dtype(device: torch.device) -> torch.dtype:
    """The dtype of cumulative probabilities: float64, exact enough for a sum over 128k tokens; float32 on mps."""
    return torch.float32 if device.type == "mps" else torch.float64


def _nucleus(likely: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest most likely tokens whose probabilities sum to top_p (Holtzman et al., 2020)."""
    ordered, order = likely.sort(dim=-1, descending=True)
    beyond = ordered.cumsum(dim=-1) - ordered >= top_p
    return likely.masked_fill(beyond.scatter(1, order, beyond), 0.0)


def uniform(seed: int, key: str, steps: int) -> torch.Tensor:
    """Uniform random numbers in [0, 1), one for each step, fixed by the seed and the prompt's id."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    # 63 bits, since torch takes signed seeds
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
    return torch.rand(steps, generator=generator, dtype=torch.float64)
