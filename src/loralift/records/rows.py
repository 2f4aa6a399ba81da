"""What is asked and what comes back, row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BASE = "base"
"""The name of the variant without any adapter."""

LARGEST = 1e100
"""Values beyond count as infinite: their cubes could not be summed."""

FinishReason = Literal["stop", "length"]
"""``stop``: an end-of-sequence token or a stop string; ``length``: cut at max_new_tokens."""

Plain = str | int | float | bool | None
"""What a further column of the data may hold."""


Style = Literal["plain", "chat", "alpaca", "verbatim"]
"""How training asks what comes in a format: by LoraLift's own prompt, the tokenizer's chat template, Stanford Alpaca's
prompt, or the question as it stands, the answer right behind it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the evaluation data.

    Attributes:
        id: Unique in its data set.
        question: The question, never empty.
        reference: The ground-truth answer, full length, never empty; of several the first, which perplexity and reports
            are of.
        fields: The data's further columns, for slices.
        others: The further ground truths; none is blank, or equal to another. Metrics of answers look at all.
        style: How the training that reads the data's format asks.
        system: The row's own system message; empty: none.
        turns: Of a conversation, what was said before the question.
        input: Alpaca's input, with which the question ends, behind the instruction and a newline; empty: none.
    """

    id: str
    question: str
    reference: str
    fields: Mapping[str, Plain] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    style: Style = "plain"
    system: str = ""
    turns: tuple[Turn, ...] = ()
    input: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """All ground truths, the first in front."""
        return (self.reference, *self.others)

    @property
    def conversation(self) -> str:
        """The question with the system message and the turns before it, for whoever must understand the answer."""
        before = [f"system: {self.system}"] if self.system else []
        before += [f"{turn.role}: {turn.content}" for turn in self.turns]
        return "\n\n".join([*before, f"user: {self.question}"]) if before else self.question


def turn_id(conversation: str, number: int) -> str:
    """The id of one of the assistant's turns in a conversation, counted from 1.

    >>> turn_id("c7", 2)
    'c7#turn2'
    """
    return f"{conversation}#turn{number}"


def conversation_of(row: str) -> str:
    """The conversation's id of one of its turns, or of one of several answers to it; else the id itself.

    >>> conversation_of("c7#turn2"), conversation_of("c7#turn2#0"), conversation_of("c7#2")
    ('c7', 'c7', 'c7#2')
    """
    return _TURN.sub("", row)


_TURN = re.compile(r"(?<=.)#turn[0-9]+(#[0-9]+)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as every variant sees it.

    Attributes:
        id: The question's id.
        text: The rendered prompt.
        token_ids: The same prompt as the model's token ids, special tokens included.
        ahead: What training shows between the prompt and its reference; None: nobody knows where it shows that.
    """

    id: str
    text: str
    token_ids: tuple[int, ...]
    ahead: str | None = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one variant answered to one question.

    Attributes:
        id: The question's id.
        text: The decoded continuation, stripped of surrounding white space; may be empty.
        finish_reason: Why the generation ended, or None where the answer came from elsewhere and nobody knows.
        prompt_tokens: Tokens of the prompt.
        output_tokens: Tokens generated, the end-of-sequence token not counted.
        seconds: Wall time of the answer's batch divided by the batch's rows, so that the sum is the whole time.
        half: How many characters of the text its first ``max_new_tokens // 2`` tokens make, but for a character that
            is not whole by then; None where it has no more tokens, or nobody knows.
        thinking_tokens: How many of the tokens generated are thinking, its tags included; None where nobody counted.
    """

    id: str
    text: str
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    half: int | None = None
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ReferenceLikelihood:
    """How likely one variant finds the reference answer, teacher-forced after the prompt.

    Attributes:
        id: The question's id.
        log_likelihood: Natural logarithm, summed over the reference's tokens; None where the text exceeds the
            model's context window, or a server does not say it of exactly these tokens.
        tokens: How many tokens the reference has; 0 where nobody counted.
    """

    id: str
    log_likelihood: float | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Example:
    """One row as a metric sees it: the question with its reference, the answer, the reference's likelihood."""

    question: Question
    answer: Answer
    likelihood: ReferenceLikelihood | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Every metric's value of one answer.

    Attributes:
        id: The question's id.
        values: Metric name to value, None where the answer cannot be scored (never 0 in its place).
        statistics: For metrics that aggregate over the corpus (BLEU, perplexity): metric name to the row's
            sufficient statistics, whose sum over rows gives the corpus value.
        unscored: Metric name to why it cannot score the answer, where it says why; most rows have none.
    """

    id: str
    values: Mapping[str, float | None]
    statistics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unscored: Mapping[str, str] = field(default_factory=lambda: _NO_REASONS)


_NO_REASONS: Mapping[str, str] = {}
"""Shared by all rows without a reason: 100,000 empty mappings would take 6 MB a variant."""
