"""When a row ends (end-of-sequence token, stop string, length), and the text of its tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loralift.generation.base import GenerationSettings
from loralift.records import Answer, FinishReason, Thinking, part

# Decoding steps between two reports of progress; each reads a counter from the device.
REPORT_EVERY = 8

# Tokens that are decoded in addition when looking for a stop string. One of n bytes is within the last n tokens, as a
# token has at least one byte; the margin is for tokens that decode to no text alone.
_TAIL_MARGIN = 8

# What a tokenizer writes for the bytes of a character whose last ones are in later tokens.
NOT_YET = "\ufffd"

type Decode = Callable[[Sequence[int]], str]


def left_pad(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both rows x longest, padded on the left: every row ends in the last column."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids.to(device), mask.to(device)


def stop_tail(stop: Sequence[str]) -> int:
    """How many of the last tokens must be decoded to find a stop string that the newest token completed."""
    return max((len(text.encode()) for text in stop), default=0) + _TAIL_MARGIN


class RowWatch:
    """A stopping criterion for ``generate`` that counts tokens, reports progress, and ends rows at stop strings.

    Stop strings are searched in the decoded answer: one that begins or ends inside a token is found, one in the prompt
    is not.

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
        """Which rows a stop string ends at this step, a boolean for each; transformers itself checks for EOS tokens."""
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
        """The rows in whose text the last token completed a stop string."""
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


@dataclass(frozen=True, slots=True)
class Ended:
    """A row that has ended.

    Attributes:
        text: Its text, stripped of surrounding white space.
        tokens: How many tokens it has.
        reason: ``stop`` (EOS or stop string) or ``length``.
        half: As in ``Answer``.
        thinking: Likewise ``thinking_tokens``.
    """

    text: str
    tokens: int
    reason: FinishReason
    half: int | None
    thinking: int | None = None

    def answer(self, key: str, prompt_tokens: int, seconds: float | None = None) -> Answer:
        """It as the answer to a prompt of so many tokens."""
        counts = {"half": self.half, "thinking_tokens": self.thinking}
        return Answer(key, self.text, self.reason, prompt_tokens, self.tokens, seconds, **counts)


def finish_row(
    made: Sequence[int],
    stopped_after: int | None,
    eos: Sequence[int],
    settings: GenerationSettings,
    decode: Decode,
) -> Ended:
    """What became of one row.

    Args:
        made: The row's tokens after the prompt; tokens after its end, e.g. padding, are ignored.
        stopped_after: Tokens up to the one that completed a stop string, if one did.
        eos: The end-of-sequence tokens.
        settings: Its stop strings, and the most tokens that it could have.
        decode: Tokens to text.
    """
    end = next((place for place, token in enumerate(made) if token in eos), None)
    ended = end is not None
    tokens = made[: stopped_after if stopped_after is not None else end]
    text = decode(tokens)
    cuts = [place for place in (text.find(one) for one in settings.stop) if place >= 0]
    if cuts:
        text, ended = text[: min(cuts)], True
    half = _half(tokens, text, settings.max_new_tokens // 2, decode)
    thinking = None if settings.thinking is None else _thinking(tokens, text, settings.thinking, decode)
    return Ended(text.strip(), len(tokens), "stop" if ended else "length", half, thinking)


def _half(tokens: Sequence[int], text: str, most: int, decode: Decode) -> int | None:
    """How many characters of the stripped text the first ``most`` tokens make; None as in ``Answer.half``."""
    if len(tokens) <= most:
        return None
    head = decode(tokens[:most])
    whole = head.rstrip(NOT_YET)
    # beyond the text where it was cut at a stop string that these tokens had begun
    if not whole.startswith(text) and not text.startswith(whole):
        return None
    before = len(text) - len(text.lstrip())
    return min(max(len(whole) - before, 0), len(text.strip()))


def _thinking(tokens: Sequence[int], text: str, how: Thinking, decode: Decode) -> int:
    """How many of the tokens make the thoughts of the text, up to the token that completes the closing tag."""

    def reaching(place: int) -> int:
        return bisect_left(range(len(tokens)), place, key=lambda count: len(decode(tokens[:count])))

    return sum(reaching(end) - reaching(begin) for begin, end in part(text, how).spans)
