"""Log-likelihoods of references by a server that gives log-probabilities of a prompt's tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loralift.endpoints import OF_THIS_REQUEST, Pause, Refused
from loralift.errors import ModelError
from loralift.generation.endpoint.ability import Ability, beginning, echo_body, pieces_of
from loralift.generation.endpoint.reply import Reply
from loralift.generation.endpoint.server import COMPLETIONS, Server
from loralift.generation.endpoint.text import Writing
from loralift.generation.transformers_engine.likelihood import between, encode_pairs
from loralift.records import Prompt, ReferenceLikelihood

ROUNDING = 1e-3
"""So far above 0 may a log-probability be by rounding."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prompt with its reference.

    Attributes:
        id: The question's id.
        text: Prompt, what stands between, and reference.
        start: Where in the text begins what is scored: the reference, and the spaces before it.
        token_ids: The same as token ids; empty where the text is sent.
        reference: How many of the last of them are scored.
    """

    id: str
    text: str
    start: int
    token_ids: tuple[int, ...] = ()
    reference: int = 0


def wanted(writing: Writing, prompts: Sequence[Prompt], references: Sequence[str], separator: str) -> list[Wanted]:
    """What is asked for: prompts with their references, as token ids where those are sent."""
    rows = [
        Wanted(prompt.id, prompt.text + lead + spaces + reference, len(prompt.text + lead))
        for prompt, reference in zip(prompts, references, strict=True)
        for lead, spaces in [between(prompt, separator)]
    ]
    if not writing.sends_ids:
        return rows
    pairs = encode_pairs(writing.encode, prompts, references, separator)
    return [
        Wanted(row.id, row.text, row.start, pair.token_ids, pair.reference)
        for row, pair in zip(rows, pairs, strict=True)
    ]


def ask(server: Server, model: str, ability: Ability, one: Wanted, pause: Pause) -> Reply | None:
    """The echo of a prompt with its reference; None where the server refuses it, as too long.

    Raises:
        ModelError: The server cannot be reached or used.
    """
    body = echo_body(ability, model, list(one.token_ids) or one.text)
    found = server.complete(COMPLETIONS, body, pause, refusals=OF_THIS_REQUEST)
    return None if isinstance(found, Refused) else found


def read(one: Wanted, reply: Reply | None, ability: Ability, writing: Writing) -> ReferenceLikelihood:
    """The likelihood of a reference; None where the tokens are not exactly those that were asked for.

    Raises:
        ModelError: A probability is above 1.
    """
    pieces = None if reply is None else pieces_of(reply, ability)
    own = None if pieces is None else _own(one, pieces, writing)
    if own is None or None in own:
        return ReferenceLikelihood(one.id, None, 0)
    values = [value for value in own if value is not None]
    if any(value > ROUNDING for value in values):
        raise ModelError(
            f"the server gives a token of the reference of {one.id} the log-probability {max(values):.3g}, and none is "
            "above 0: leave out perplexity with --metrics"
        )
    return ReferenceLikelihood(one.id, math.fsum(values), len(values))


def _own(one: Wanted, pieces: Sequence[tuple[str, float | None]], writing: Writing) -> list[float | None] | None:
    """The values of the reference's own tokens; None where they cannot be told for sure."""
    if one.token_ids:
        texts = "".join(text for text, _ in pieces[len(pieces) - one.reference :])
        decoded = writing.tokenizer.decode(list(one.token_ids[len(one.token_ids) - one.reference :]))
        sure = len(pieces) == len(one.token_ids) and texts == decoded
        return [value for _, value in pieces[len(pieces) - one.reference :]] if sure else None
    place = beginning(pieces, one.text)
    if place is None:
        return None
    at = 0
    for number, (text, _) in enumerate(pieces[place:], start=place):
        if at == one.start:
            return [value for _, value in pieces[number:]]
        at += len(text)
    return None
