"""What is known of a served model, and what is not, in plain values and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loralift.errors import some
from loralift.generation.adapter.info import AdapterInfo
from loralift.generation.base import OF_CHATS, Description
from loralift.generation.endpoint.ability import Ability
from loralift.generation.endpoint.server import CHAT, Server
from loralift.generation.endpoint.text import Writing
from loralift.generation.model.base_model import BaseModel
from loralift.records import BASE

SERVED = "served:"
"""How the identity of a model begins whose weights nobody saw."""

UNSEEN = (
    "Base and adapters were asked of a server, by their names there: their weights were not seen, so nothing here says "
    "which files answered."
)

NULL_OF_CHATS = (
    "Perplexity is null: the server's chat template renders these messages, so nobody here knows the text that a "
    "reference would stand after; --endpoint-tokenizer renders them here."
)


def served_base(name: str) -> BaseModel:
    """A base of which its name is known."""
    return BaseModel(name, None, f"{SERVED}{name}", None)


def adapter_info(name: str, model: str) -> AdapterInfo:
    """An adapter of which its name is known; what its files would say is empty."""
    return AdapterInfo(name, "", model, None, "served", None, None, (), (), None, False, False, 0, f"{SERVED}{model}")


def window_of(ability: Ability) -> int | None:
    """Most tokens of a prompt with its answer, as the server says; None where it does not."""
    said = [one.get("max_model_len") for one in (ability.models or {}).values()]
    known = [value for value in said if isinstance(value, int) and value > 0]
    return min(known) if known else None


def describe(
    names: Mapping[str, str],
    server: Server,
    ability: Ability,
    writing: Writing,
    ends: Sequence[int],
    proved: int | None,
    notes: Sequence[str],
) -> Description:
    """What is known of what makes the answers; the URL is no part of what a resume needs unchanged."""
    adapters = {name: model for name, model in names.items() if name != BASE}
    return Description(
        identity={
            "base": f"{SERVED}{names[BASE]}",
            "adapters": {name: f"{SERVED}{model}" for name, model in adapters.items()},
        },
        numerics={**_numerics(ability, writing, proved), **({"stop_token_ids": list(ends)} if ends else {})},
        information={
            "model": names[BASE],
            "revision": None,
            "model_class": None,
            "parameters": None,
            "served": True,
            "endpoint": server.address.url,
            "context_window": window_of(ability),
            **({"eos_token_ids": list(writing.texts.eos)} if writing.texts is not None else {}),
            "device_name": "a server",
            "notes": list(notes),
            "adapters": {name: {"source": model, "served": True} for name, model in adapters.items()},
        },
    )


def _numerics(ability: Ability, writing: Writing, proved: int | None) -> dict[str, Any]:
    """What the server says of itself, and how many tokens it counts: another template, BOS or limit shows there alone.

    Args:
        ability: What it can do.
        writing: How prompts are written.
        proved: How many tokens it counts of the proof's prompts; None: it does not say.
    """
    return {
        "engine": "endpoint",
        "device": "a server's",
        "asked_by": ability.path,
        "prompts": "token ids" if writing.sends_ids else "text" if ability.path != CHAT else "messages",
        "server_version": ability.version,
        "listed": None if ability.models is None else {name: dict(one) for name, one in ability.models.items()},
        "answers_as": dict(ability.answers_as),
        "counted": {"probe": ability.counted, "proof": proved},
        **({OF_CHATS: list(writing.counted)} if writing.counted else {}),
    }


def notes_of(ability: Ability, writing: Writing, *, vllm: bool) -> tuple[str, ...]:
    """What a reader must know, one sentence each."""
    return (
        UNSEEN,
        _how(ability, writing),
        *(() if vllm else (_DEFAULTS,)),
        *_missing(ability),
        _LENGTHS,
        *(writing.texts.notes if writing.texts is not None else ()),
    )


_DEFAULTS = (
    "What a request does not name, such as a repetition penalty, is as the server has it by default, for all variants "
    "alike."
)
_LENGTHS = (
    "Lengths in tokens are as the server counts them, mostly with the token that ends an answer; what would become of "
    "a verdict at half of the tokens is not looked at."
)


def _how(ability: Ability, writing: Writing) -> str:
    if ability.path == CHAT:
        why = "it has no others or --endpoint-api says so"
        if ability.around is not None:
            why = f"its other ones put {ability.around} tokens around each text, as a chat template does"
        return (
            f"The server's chat completions are asked, since {why}: each prompt is a user's message, and the server's "
            "chat template stands around it."
        )
    if writing.sends_ids:
        return "Prompts are sent to its completions as the token ids of --endpoint-tokenizer."
    if writing.texts is not None:
        return "Prompts are sent to its completions as text, of as many tokens as --endpoint-tokenizer makes."
    if ability.around is None:
        return (
            "Prompts are sent to its completions as text; whether it writes a chat template around them could not be "
            "checked, since it does not count the prompts' tokens. Chats are sent as messages, which its chat template "
            "renders."
        )
    return (
        "Prompts are sent to its completions as their very text; the server's tokenizer adds its special tokens (a "
        "BOS), if it has any. Chats are sent as messages, which its chat template renders."
    )


def _missing(ability: Ability) -> list[str]:
    """What the server does not give."""
    found = []
    if ability.models is None:
        found.append("The server lists no models, so that a restart with others would not be seen.")
    if ability.unlisted:
        found.append(f"The server answers to {some(ability.unlisted)} without listing it.")
    if not ability.top:
        found.append("The server gives no log-probabilities of answers: that adapters act is shown by short answers.")
    if ability.echo_of_base:
        found.append(
            "Perplexity is null: the server's log-probabilities of prompts are the same for base and adapter, so they "
            "are not the adapter's."
        )
    elif not ability.echoes:
        found.append("Perplexity is null: the server gives no log-probabilities of a prompt's tokens.")
    if not ability.says_end:
        found.append("The server does not say why an answer ended, so nobody knows which were cut at the limit.")
    return found
