"""Tokenising and decoding, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase

from loralift.errors import ModelError
from loralift.generation.model import chat
from loralift.generation.model.thinking import NO_VARIABLES, marks_of
from loralift.reading import reading

_PROBE = "a"
"""A text to find out which special tokens a tokenizer puts before and after every text."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A tokenizer as the engines use it.

    Attributes:
        tokenizer: The base's transformers tokenizer.
        eos: Token ids that end an answer.
        marks: Special tokens that open or close thinking, which texts keep: id to text.
    """

    tokenizer: Any
    eos: tuple[int, ...]
    marks: Mapping[int, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "marks", marks_of(self.tokenizer))

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts that the model is to continue; never truncates.

        Args:
            texts: Any number.
            add_special_tokens: Whether the tokenizer adds its special tokens before each text (a BOS). Those that it
                would append (an EOS, with ``add_eos_token``) are removed: after one the model would not continue the
                text.
        """
        if not texts:
            return []
        encoded = self._ids(texts, add_special_tokens)
        behind = len(self.appended) if add_special_tokens else 0
        return [ids[: len(ids) - behind] for ids in encoded]

    @property
    def appended(self) -> tuple[int, ...]:
        """The special tokens that the tokenizer appends to every text, e.g. an EOS with ``add_eos_token``."""
        (plain,), (whole,) = (self._ids([_PROBE], special) for special in (False, True))
        places = range(len(whole) - len(plain) + 1)
        begin = next((place for place in places if whole[place : place + len(plain)] == plain), None)
        return () if begin is None else whole[begin + len(plain) :]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how prompts are tokenised, one sentence each."""
        if not (behind := self.appended):
            return ()
        named = " ".join(map(str, self.tokenizer.convert_ids_to_tokens(list(behind))))
        return (f"The tokenizer puts {named} behind every text; prompts are asked without it, or they would be ended.",)

    def _ids(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        # verbose=False: no warning of texts beyond model_max_length; base.refuse_too_long checks the context window
        encoded = self.tokenizer(list(texts), add_special_tokens=add_special_tokens, verbose=False)
        return [tuple(ids) for ids in encoded["input_ids"]]

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens to text without transformers' clean-up of spaces, and without special tokens but ``marks``."""
        if self.marks.keys().isdisjoint(tokens):
            return self._plain(tokens)
        parts = groupby(tokens, key=self.marks.get)
        return "".join(self._plain(list(run)) if mark is None else mark * len(list(run)) for mark, run in parts)

    def _plain(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """Render messages by the model's chat template, up to where the answer begins.

        Args:
            messages: ``{"role", "content"}``.
            variables: What the template is told besides, e.g. ``{"enable_thinking": False}``.

        Raises:
            ModelError: There is no chat template, or it refuses these messages.
        """
        if self.tokenizer.chat_template is None:
            raise ModelError(
                "`--protocol chat` and `--chat-template` need a model with a chat template, and this one's tokenizer "
                "has none: leave them out"
            )
        with reading("the model's chat template", ModelError, chat.REMEDY):
            if type(self.tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template:
                # a class of transformers' own that uses no template
                plain = [dict(message) for message in messages]
                opened = variables.get("add_generation_prompt", True)
                return str(self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=opened))
            template = self.tokenizer.get_chat_template()
            return chat.render(template, messages, {**self.tokenizer.special_tokens_map, **variables})
