"""Texts to tokens and back, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from loralift.errors import ModelError


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
        """Tokenise texts; never truncates."""
        if not texts:
            return []
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
