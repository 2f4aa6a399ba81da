"""Find a server, what it can do, and how prompts are written for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from transformers import GenerationConfig

from loralift.endpoints import Refused
from loralift.errors import ModelError, UsageError
from loralift.generation.endpoint.ability import PROBE, ability_of, body_of
from loralift.generation.endpoint.generator import EndpointGenerator
from loralift.generation.endpoint.server import CHAT, COMPLETIONS, Given, Server, server_of
from loralift.generation.endpoint.text import Writing
from loralift.generation.model.base_model import SMALL_FILES, BaseModel
from loralift.generation.model.folder import refuse_irregular
from loralift.generation.model.hub import find_folder
from loralift.generation.model.loading import loading
from loralift.generation.model.tokenization import Texts
from loralift.generation.transformers_engine.load import load_tokenizer
from loralift.records import BASE


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
        writing = _with_tokenizer(writing, given.tokenizer)
    return EndpointGenerator(base, names, server, ability, writing, given.concurrency)


def _with_tokenizer(writing: Writing, place: str) -> Writing:
    """The writing with a tokenizer, whose ids are sent where the server takes them.

    Raises:
        ModelError: There is none, or the server reads a text as another number of tokens.
    """
    texts = _texts(place)
    (ids,) = texts.encode([PROBE], True)
    sent = _counted(writing.server, writing.base, list(ids))
    if sent == len(ids):
        return replace(writing, texts=texts, sends_ids=True)
    counted = _counted(writing.server, writing.base, PROBE)
    if counted != len(ids):
        raise ModelError(
            f"`--endpoint-tokenizer` must be the served base's: it makes {len(ids)} tokens of a text of which the "
            f"server makes {'an unknown number' if counted is None else counted}, and that takes no token ids: leave "
            "it out"
        )
    return replace(writing, texts=texts)


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


def _counted(server: Server, model: str, prompt: str | list[int]) -> int | None:
    found = server.probing().complete(COMPLETIONS, body_of(COMPLETIONS, model, prompt, 1))
    return None if isinstance(found, Refused) else found.prompt_tokens
