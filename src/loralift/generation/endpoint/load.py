"""Find a server, what it can do, and how prompts are written for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from transformers import GenerationConfig

from loralift.endpoints import Refused
from loralift.errors import ModelError, UsageError
from loralift.generation.endpoint.ability import PROBE, ability_of, body_of, top_of
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.generation.endpoint.proof import divergence
from loralift.generation.endpoint.reply import Reply
from loralift.generation.endpoint.server import CHAT, COMPLETIONS, Given, server_of
from loralift.generation.endpoint.text import Writing
from loralift.generation.model.base_model import SMALL_FILES, BaseModel
from loralift.generation.model.folder import refuse_irregular
from loralift.generation.model.hub import find_folder
from loralift.generation.model.loading import loading
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.load import load_tokenizer
from loralift.records import BASE

TEXTS = (
    PROBE,
    "Question: Should I invest 1,250.50 dollars in I-bonds, or pay down a mortgage at 6.75%?\n\nAnswer:",
    "Der Zinssatz beträgt 3 ½ Prozent; naïve façades… and SOME CAPITALS, (brackets) & under_scores.",
)
"""By these a tokenizer is known."""

SAME = 0.05
"""Nats by which the next token may differ after the same tokens, by rounding in other batches."""


def load(base: BaseModel, adapters: Mapping[str, str], given: Given) -> EndpointGenerator:
    """Find out that a server has the base and every adapter, and what it can do.

    Args:
        base: Its name there.
        adapters: Name to the model's name there, in the order of the variants.
        given: The server.

    Raises:
        UsageError: The URL is none, or one model is named twice.
        ModelError: The server cannot be reached, or has no such base; the tokenizer cannot be had, or is not its own.
        AdapterError: The server has no such adapter, or does not tell it from the base.
    """
    names = {BASE: base.source, **adapters}
    seen: dict[str, str] = {}
    for name, model in names.items():
        if (other := seen.setdefault(model, name)) != name:
            raise UsageError(f"`--adapter` must name a model of its own, and {name} and {other} are both {model!r}")
    server, ability = ability_of(server_of(given), names, given.api)
    writing = Writing(server, ability.path, base.source)
    if given.tokenizer is not None:
        if ability.path == CHAT:
            raise UsageError(
                "`--endpoint-tokenizer` is for /v1/completions, and this server is asked by chat completions: leave "
                "it out"
            )
        writing = _with_tokenizer(writing, given.tokenizer, ability.top)
    return EndpointGenerator(base, names, server, ability, writing, given.concurrency)


def _with_tokenizer(writing: Writing, place: str, top: int) -> Writing:
    """The writing with a tokenizer, whose ids are sent where the server takes them.

    That it is the served base's is seen by texts: the server must read each as so many tokens, and go on as it does
    after the ids.

    Raises:
        ModelError: There is none, or it is another one.
    """
    texts = _texts(place)
    takes_ids = False
    for text, ids in zip(TEXTS, texts.encode(TEXTS, True), strict=True):
        read = _asked(writing, text, top)
        counted = None if read is None else read.prompt_tokens
        if read is None or counted != len(ids):
            raise ModelError(
                f"`--endpoint-tokenizer` must be the served base's: it makes {len(ids)} tokens of a text of which the "
                f"server makes {'an unknown number' if counted is None else counted}: leave it out"
            )
        by_ids = _asked(writing, list(ids), top)
        takes_ids = by_ids is not None and by_ids.prompt_tokens == len(ids)
        if by_ids is None or not takes_ids:
            break
        if by_ids.top is not None and read.top is not None and divergence(by_ids.top, read.top) > SAME:
            raise ModelError(
                f"`--endpoint-tokenizer` must be the served base's: after its ids of {text!r} the server goes on "
                "otherwise than after the text: leave it out"
            )
    return replace(writing, texts=texts, sends_ids=takes_ids)


def _texts(place: str) -> Texts:
    """The tokenizer in a folder or on the hub, with the tokens that end an answer.

    Raises:
        ModelError: There is none.
    """
    folder, _ = find_folder("--endpoint-tokenizer", place, None, SMALL_FILES, ModelError)
    refuse_irregular(folder, SMALL_FILES, ModelError)
    tokenizer = load_tokenizer(BaseModel(str(folder), None, "", None))
    with loading(f"the generation_config.json of {place} cannot be read", ModelError):
        there = (folder / "generation_config.json").is_file()
        named = GenerationConfig.from_pretrained(str(folder)).eos_token_id if there else None
    ends = [*(named if isinstance(named, list) else [named]), tokenizer.eos_token_id]
    return Texts(tokenizer, tuple(sorted({one for one in ends if isinstance(one, int)})))


def _asked(writing: Writing, prompt: str | list[int], top: int) -> Reply | None:
    """The base's first token after a prompt; None where the server refuses it."""
    more = top_of(COMPLETIONS, top) if top else {}
    body = body_of(COMPLETIONS, writing.base, prompt, 1, **more)
    found = writing.server.probing().complete(COMPLETIONS, body)
    return None if isinstance(found, Refused) else found
