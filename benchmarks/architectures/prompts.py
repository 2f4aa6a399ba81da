"""What is asked: prompts of many lengths, with references, in words that are each one token."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.architectures.sizes import BOS, ENDS, EOS, FIRST_WORD, PAD, UNKNOWN, VOCABULARY
from loralift.records import Prompt

ROWS = 70
LONGEST_PROMPT = 90
LONGEST_REFERENCE = 30
NEW_TOKENS = 8
SHARED = 24
"""Tokens with which some prompts, or all of a second kind of questions, begin."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt and its reference.

    Attributes:
        id: Its number.
        prompt: Token ids.
        reference: Token ids.
    """

    id: str
    prompt: tuple[int, ...]
    reference: tuple[int, ...]

    def as_prompt(self) -> Prompt:
        """As the engines are asked."""
        return Prompt(self.id, text(self.prompt), self.prompt)


def text(tokens: Sequence[int]) -> str:
    """The text that the tokenizer reads as these tokens."""
    return " ".join(f"w{token}" for token in tokens)


@cache
def tokenizer() -> Any:
    """A tokenizer of whole words, ``w4`` being token 4: so texts and tokens are one for one."""
    special = {"<pad>": PAD, "<s>": BOS, "</s>": EOS, "<unk>": UNKNOWN}
    words = {f"w{token}": token for token in range(FIRST_WORD, VOCABULARY)}
    words_only = Tokenizer(models.WordLevel({**special, **words}, unk_token="<unk>"))
    words_only.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words_only, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def questions(rows: int = ROWS, *, shared: bool = False, longest: int = LONGEST_PROMPT) -> list[Question]:
    """The same questions each time, in an order that tells nothing of their lengths.

    Args:
        rows: How many.
        shared: Whether all begin with the same tokens, as with an instruction; else only some do.
        longest: Most tokens of a prompt.
    """
    draw = random.Random(11)
    beginning = _words(draw, SHARED)
    lengths = [1, 1, 2, 15, 16, 17, longest, longest, *(draw.randint(1, longest) for _ in range(rows))][:rows]
    draw.shuffle(lengths)
    asked = []
    for number, length in enumerate(lengths):
        begins = shared or (number % 5 == 0 and length > SHARED)
        words = _words(draw, length)
        prompt = beginning + words[: max(length - SHARED, 1)] if begins else words
        asked.append(Question(str(number), prompt, _words(draw, draw.randint(1, LONGEST_REFERENCE))))
    return asked


def _words(draw: random.Random, count: int) -> tuple[int, ...]:
    """Tokens that are neither special nor the end of an answer."""
    return tuple(draw.randrange(max(ENDS) + 1, VOCABULARY) for _ in range(count))
