"""Texts to tokens and back, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from loralift.errors import ModelError

_PROBE = "a"
"""A text that shows what a tokenizer puts before and behind any."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A tokenizer as the engines use it.

    Attributes:
        tokenizer: The base's.
        eos: Token ids that end an answer.
    """

    tokenizer: Any
    eos: tuple[int, ...]

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Tokenise texts that are to be gone on with; never truncates.

        Args:
            texts: Any number.
            add_special_tokens: Whether the tokenizer puts its own (a BOS) before each. What it would put behind one is
                left out: a prompt that ends with an end-of-sequence token is another question.
        """
        if not texts:
            return []
        encoded = self._ids(texts, add_special_tokens)
        behind = len(self.appended) if add_special_tokens else 0
        return [ids[: len(ids) - behind] for ids in encoded]

    @property
    def appended(self) -> tuple[int, ...]:
        """The special tokens that the tokenizer puts behind every text, as ``add_eos_token`` makes it do."""
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
        # verbose=False: the tokenizer would warn of texts beyond its model_max_length, which is checked elsewhere
        encoded = self.tokenizer(list(texts), add_special_tokens=add_special_tokens, verbose=False)
        return [tuple(ids) for ids in encoded["input_ids"]]

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens to text, special tokens left out, and nothing tidied."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def render_chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Render messages by the model's chat template, ready for its answer.

        Raises:
            ModelError: There is no chat template, or it refuses these messages.
        """
        if self.tokenizer.chat_template is None:
            raise ModelError("`--chat-template` needs a model with a chat template, and this one's tokenizer has none")
        plain = [dict(message) for message in messages]
        try:
            return str(self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True))
        except TemplateError as cause:
            raise ModelError(f"the model's chat template refuses these messages: {cause}") from cause
