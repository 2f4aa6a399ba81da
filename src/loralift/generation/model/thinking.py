"""Models that think before they answer, and how each is told not to.

A reasoning model that thinks spends the tokens of its answer on it, so asked without a word about it, it is cut off
before it answers. Its switch is not in its weights' files: it is a variable of the chat template or a system prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loralift.records import OF_MODELS, THINK, Tags

NO_VARIABLES: Mapping[str, Any] = {}

LLAMA_NEMOTRON = re.compile(r"llama[-_. ]?3[._]\d[-_. ]nemotron[-_. ](nano|super|ultra)", re.IGNORECASE)
"""NVIDIA's Llama-Nemotron models, whose template does not name the switch; the model cards do."""


SWITCHES = {
    True: re.compile(r"\bdetailed thinking\s+(on|off)\b", re.IGNORECASE),
    False: re.compile(r"(?<!\S)/(no_)?think\b", re.IGNORECASE),
}
"""Whether a switch is a sentence to its words in instructions: "thinking in detail" and a path turn nothing."""


_XML = re.compile(r"<((?:think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad))>")


@dataclass(frozen=True, slots=True)
class Switch:
    """How a model is told whether to think.

    Attributes:
        system_prompt: What stands in the system's turn, the instructions going to the user's; empty: nothing.
        variables: What the chat template is told.
    """

    system_prompt: str = ""
    variables: Mapping[str, Any] = field(default_factory=lambda: NO_VARIABLES)

    @property
    def said(self) -> str:
        """It in words."""
        told = [f"{name}={value}" for name, value in self.variables.items()]
        return " and ".join([*([f"the system prompt {self.system_prompt!r}"] if self.system_prompt else []), *told])

    def used_in(self, instructions: str) -> bool:
        """Whether instructions turn it themselves, on or off."""
        return bool(self.system_prompt) and SWITCHES[" " in self.system_prompt].search(instructions) is not None


def switch_of(template: str, names: Iterable[str], *, on: bool) -> Switch | None:
    """The reasoning switch of a model, as far as its template or its name shows one.

    Args:
        template: Its chat template; empty: it has none.
        names: What it is called: hub id, folder, ``_name_or_path``.
        on: Whether it shall think.

    Returns:
        None for a model that has no switch, as far as is known.
    """
    if "enable_thinking" in template:
        return Switch(variables={"enable_thinking": on})
    if "/no_think" in template:
        return Switch("/think" if on else "/no_think")
    if "detailed thinking" in template or any(LLAMA_NEMOTRON.search(name) for name in names):
        return Switch(f"detailed thinking {'on' if on else 'off'}")
    return None


def tags_of(tokenizer: Any) -> tuple[Tags, ...]:
    """What opens and closes a model's thinking: ``<think>``, and what its template or tokenizer names besides.

    Args:
        tokenizer: A transformers tokenizer; its chat templates and added tokens are read.
    """
    templates = getattr(tokenizer, "chat_template", None)
    texts = templates.values() if isinstance(templates, Mapping) else [templates]
    added = getattr(tokenizer, "added_tokens_decoder", {})
    named = "\n".join([*(text for text in texts if isinstance(text, str)), *map(str, added.values())])
    known = [tags for tags in OF_MODELS if tags[0] in named]
    own = [(f"<{name}>", f"</{name}>") for name in dict.fromkeys(_XML.findall(named)) if f"</{name}>" in named]
    return tuple(dict.fromkeys([THINK, *known, *own]))


def marks_of(tokenizer: Any) -> dict[int, str]:
    """Token id to text of the special tokens that tags are made of: without them a text would lack its tags."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {number: str(token) for number, token in added.items() if getattr(token, "special", False)}
    if not special:
        return {}
    tags = [tag for pair in tags_of(tokenizer) for tag in pair]
    return {number: text for number, text in special.items() if text and any(text in tag for tag in tags)}
