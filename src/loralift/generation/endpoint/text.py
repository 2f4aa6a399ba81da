"""How prompts are written for a server: as the served base's token ids, as text, or as messages that it renders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loralift.endpoints import Refused
from loralift.errors import ModelError
from loralift.generation.endpoint.ability import body_of
from loralift.generation.endpoint.server import CHAT, COMPLETIONS, Server
from loralift.generation.model.tokenization import Texts
from loralift.records import Prompt

SYSTEM = "Answer in French, in one word, and in capitals."


class NoTokenizer:
    """In a tokenizer's place where nobody has the served model's: it knows no token."""

    chat_template = ""
    all_special_tokens: tuple[str, ...] = ()
    bos_token_id = eos_token_id = None

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """None."""
        return {}

    def get_vocab(self) -> dict[str, int]:
        """None."""
        return {}

    def convert_ids_to_tokens(self, ids: Any) -> None:
        """No token is known."""
        del ids


@dataclass
class Writing:
    """How prompts are written.

    Attributes:
        server: Who is asked.
        path: What questions are asked by.
        base: The base's name there.
        texts: The served base's tokenizer; None: nobody has it.
        sends_ids: Whether its token ids are sent, and not the text.
        counted: Of chats that the server renders, how many tokens it counts of one without and of one with a system
            message, each as far as it says; empty: none was asked yet.
    """

    server: Server
    path: str
    base: str
    texts: Texts | None = None
    sends_ids: bool = False
    counted: tuple[int | None, ...] = ()
    _messages: dict[str, tuple[list[dict[str, str]], dict[str, Any]]] = field(default_factory=dict)
    _takes_system: bool | None = None
    _refuses: str = ""

    @property
    def tokenizer(self) -> Any:
        """The served base's, or one that knows nothing."""
        return NoTokenizer() if self.texts is None else self.texts.tokenizer

    def encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[tuple[int, ...]]:
        """Token ids; without a tokenizer the text's bytes in their place, which tell prompts apart as well."""
        if self.texts is not None:
            return self.texts.encode(texts, add_special_tokens)
        return [tuple(text.encode()) for text in texts]

    def render_chat(self, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any]) -> str:
        """A prompt of messages: rendered by the tokenizer's template, else as JSON of what the server is sent.

        A server whose template drops a system message is sent none, so that what a prompt shows is what is asked.

        Raises:
            ModelError: There is no template here, or the server takes no such messages.
        """
        if self.texts is not None:
            return self.texts.render_chat(messages, variables)
        if self._takes_system is None:
            self._takes_system = self._probe()
        asked = [dict(message) for message in messages]
        if self._refuses and any(message["role"] == "system" for message in asked):
            raise ModelError(f"the server takes no system message: {self._refuses}")
        kept = [message for message in asked if self._takes_system or message["role"] != "system"]
        text = json.dumps([*kept, *([dict(variables)] if variables else [])], ensure_ascii=False)
        self._messages[text] = (kept, dict(variables))
        return text

    def request(self, prompt: Prompt) -> tuple[str, dict[str, Any]]:
        """What a prompt is posted to, and what is said of it there."""
        if prompt.text in self._messages:
            messages, variables = self._messages[prompt.text]
            return CHAT, {"messages": messages, **({"chat_template_kwargs": variables} if variables else {})}
        if self.path == CHAT:
            return CHAT, {"messages": [{"role": "user", "content": prompt.text}]}
        return COMPLETIONS, {"prompt": list(prompt.token_ids) if self.sends_ids else prompt.text}

    def _probe(self) -> bool:
        """Whether the server's template writes a system message, as the number of the prompt's tokens says.

        Raises:
            ModelError: It has no chat completions.
        """
        user = {"role": "user", "content": "What is a bond?"}
        plain, told = (
            self.server.probing().complete(CHAT, {**body_of(CHAT, self.base, "", 1), "messages": messages})
            for messages in ([user], [{"role": "system", "content": SYSTEM}, user])
        )
        if isinstance(plain, Refused):
            raise ModelError(
                f"the prompt is a chat, and the server refuses {CHAT} ({plain.why}): serve the model with a chat "
                "template, ask by another protocol, or let --endpoint-tokenizer render the prompts here"
            )
        self.counted = (plain.prompt_tokens, None if isinstance(told, Refused) else told.prompt_tokens)
        if isinstance(told, Refused):
            self._refuses = told.why
            return False
        if plain.prompt_tokens is None or told.prompt_tokens is None:
            return False  # nobody knows; in the user's turn it is surely read
        return told.prompt_tokens > plain.prompt_tokens
