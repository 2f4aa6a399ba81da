"""One batch of decoding: when each row ends, how tokens are drawn, what text they make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from loralift.records import FinishReason

# Decoding steps between two reports of progress: one read of a counter from the device each.
REPORT_EVERY = 8

# A stop string of n bytes ends within the last n tokens, each at least a byte; the rest is for tokens that decode to
# nothing by themselves.
_TAIL_MARGIN = 8

type Decode = Callable[[Sequence[int]], str]


def left_pad(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both rows x longest; padding on the left, so that every row ends at the end."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids.to(device), mask.to(device)


def stop_tail(stop: Sequence[str]) -> int:
    """How many of the last tokens must be decoded to see whether a stop string has just ended."""
    return max((len(text.encode()) for text in stop), default=0) + _TAIL_MARGIN


class RowWatch:
    """A stopping criterion that counts tokens, reports progress, and ends a row at a stop string.

    The stop strings are looked for in the decoded text, so one that begins or ends inside a token is found too, and
    one in the prompt is not.

    Attributes:
        lengths: Tokens of each row up to the one that completed a stop string; None where none did.
    """

    def __init__(
        self,
        rows: int,
        eos: Sequence[int],
        stop: Sequence[str],
        decode: Decode,
        report: Callable[[int], None] | None,
    ) -> None:
        self.lengths: list[int | None] = [None] * rows
        self._eos = torch.tensor(list(eos), dtype=torch.long)
        self._stop = tuple(stop)
        self._decode = decode
        self._report = report
        self._tail = stop_tail(stop)
        self._made: list[list[int]] = [[] for _ in range(rows)]
        self._ended = torch.zeros(rows, dtype=torch.bool)
        self._tokens = torch.zeros((), dtype=torch.long)
        self._steps = 0

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """Whether each row stops here; end-of-sequence tokens are transformers' own criterion."""
        last = input_ids[:, -1]
        if self._steps == 0:
            self._eos, self._ended = self._eos.to(last.device), self._ended.to(last.device)
            self._tokens = self._tokens.to(last.device)
        self._steps += 1
        self._ended |= torch.isin(last, self._eos)
        self._tokens += (~self._ended).sum()
        if self._report is not None and self._steps % REPORT_EVERY == 0:
            self._report(int(self._tokens))
        stopped = torch.zeros_like(self._ended)
        if self._stop:
            stopped[self._newly_stopped(last.tolist())] = True
            self._ended |= stopped
        return stopped

    def _newly_stopped(self, last: Sequence[int]) -> list[int]:
        """The rows whose text, with their last token, holds a stop string."""
        found = []
        for row, (token, ended) in enumerate(zip(last, self._ended.tolist(), strict=True)):
            if ended:
                continue
            made = self._made[row]
            made.append(token)
            tail = self._decode(made[-self._tail :])
            if any(text in tail for text in self._stop):
                self.lengths[row] = len(made)
                found.append(row)
        return found


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


def finish_row(
    made: Sequence[int], stopped_after: int | None, eos: Sequence[int], stop: Sequence[str], decode: Decode
) -> tuple[str, int, FinishReason]:
    """One row's text, its number of tokens and why it ended.

    Args:
        made: The row's tokens after the prompt, with whatever the batch added once the row had ended.
        stopped_after: Tokens up to the one that completed a stop string, if one did.
        eos: The end-of-sequence tokens.
        stop: The stop strings.
        decode: Tokens to text.
    """
    end = next((place for place, token in enumerate(made) if token in eos), None)
    ended = end is not None
    tokens = made[: stopped_after if stopped_after is not None else end]
    text = decode(tokens)
    cuts = [place for place in (text.find(one) for one in stop) if place >= 0]
    if cuts:
        text, ended = text[: min(cuts)], True
    return text.strip(), len(tokens), "stop" if ended else "length"
