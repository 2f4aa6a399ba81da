"""What a server can do, found out before the first question is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loralift.endpoints import Refused
from loralift.errors import AdapterError, ModelError, some
from loralift.generation.endpoint.reply import Reply
from loralift.generation.endpoint.server import CHAT, COMPLETIONS, NEUTRAL, NO, VLLM, Api, Server
from loralift.records import BASE

PROBE = "Stocks and bonds are held by funds, and funds"
TWICE = "The bank holds the bonds, and the fund holds the bank.\n"
"""Said twice it is twice as many tokens, whatever the tokenizer, but for one or two where it meets itself."""

AROUND = 3
"""Most tokens around a text that are taken for a BOS, an EOS and that; a chat template writes more."""

NOBODY = "loralift-asks-whether-any-name-is-answered"

MOST_TOP = (20, 5)
"""How many of the likeliest tokens are asked for: vLLM gives 20 by itself, OpenAI's completions 5."""

CLEARLY = 10.0
"""By so many times what the base's own values move must an adapter's differ from them."""


@dataclass(frozen=True, slots=True)
class Ability:
    """What a server can do.

    Attributes:
        path: What questions are asked by: ``COMPLETIONS`` or ``CHAT``.
        models: Name of an asked model to what the server lists of it; None: the server lists nothing.
        version: The server's, where it says one.
        top: How many of the likeliest first tokens it gives; 0: none.
        echoes: Whether it gives the log-probabilities of a prompt's tokens, of every variant.
        echo_of_base: Whether it gives them, but an adapter's are not told from the base's.
        echo_tokens: The ``max_tokens`` of such a request.
        says_end: Whether it says why an answer ended.
        unlisted: Asked names that it does not list.
        answers_as: Name of an asked model to what replies call it, where they say it.
        around: How many tokens its completions put around a text; None: it does not say, or has no completions.
        counted: How many tokens the base's prompt of ``PROBE`` is, as the server counts; None: it does not say.
    """

    path: str
    models: Mapping[str, Mapping[str, Any]] | None
    version: str | None
    top: int = 0
    echoes: bool = False
    echo_of_base: bool = False
    echo_tokens: int = 0
    says_end: bool = True
    unlisted: tuple[str, ...] = ()
    answers_as: Mapping[str, str] = field(default_factory=dict)
    around: int | None = None
    counted: int | None = None


def ability_of(server: Server, names: Mapping[str, str], api: Api) -> tuple[Server, Ability]:
    """Find out what a server can do, and that it has every model.

    Args:
        server: The server.
        names: Variant to its model's name there, ``base`` first.
        api: What the user wants to be asked.

    Returns:
        The server with the fields that it needs, and what it can do.

    Raises:
        ModelError: It cannot be reached, has no such base, or answers to any name.
        AdapterError: It has no such adapter, or says that another model answers to its name.
    """
    asking = server.probing()
    listed = asking.models(NO)
    if listed is not None and any(one["owned_by"] == VLLM for one in listed.values()):
        server, asking = replace(server, neutral=NEUTRAL), replace(asking, neutral=NEUTRAL)
    path, first, around = _path(asking, names[BASE], api, listed)
    replies = {BASE: first}
    for name, model in names.items():
        replies[name] = replies.get(name) or _first(asking, path, name, model, listed)
    unlisted = tuple(model for model in names.values() if listed is not None and model not in listed)
    if unlisted or listed is None:
        _refuse_any_name(asking, path, unlisted or tuple(names.values()), listed)
    if listed is not None:
        _refuse_relations(names, listed)
    _refuse_same_model(names, replies)
    models = None if listed is None else {model: listed[model] for model in names.values() if model in listed}
    answers_as = {names[name]: reply.model for name, reply in replies.items() if reply.model is not None}
    found = Ability(path, models, asking.version(), unlisted=unlisted, answers_as=answers_as)
    found = replace(found, around=around, counted=first.prompt_tokens, says_end=first.ended is not None)
    found = replace(found, top=likeliest(asking, path, names[BASE]))
    return server, _with_echo(asking, found, names)


def body_of(path: str, model: str, text: str | Sequence[int], tokens: int, **more: Any) -> dict[str, Any]:
    """A request for a greedy answer to a text or to token ids; in a chat the text is a user's message."""
    asked = {"prompt": text} if path == COMPLETIONS else {"messages": [{"role": "user", "content": text}]}
    return {"model": model, **asked, "max_tokens": tokens, "temperature": 0, **more}


def _path(asking: Server, base: str, api: Api, listed: Mapping[str, Any] | None) -> tuple[str, Reply, int | None]:
    """By what the base is asked, its reply, and how many tokens its completions put around a text.

    Completions with a chat template around each text are chats of which nobody knows, so chats are asked instead.

    Raises:
        ModelError: The base is refused, repeats the prompt, or has no other completions and is asked by no chats.
    """
    refused: list[str] = []
    around = None
    for path in {"auto": (COMPLETIONS, CHAT), "completions": (COMPLETIONS,), "chat": (CHAT,)}[api]:
        found = asking.complete(path, body_of(path, base, PROBE, 1))
        if isinstance(found, Refused):
            refused.append(f"{path}: {found.why}")
            continue
        if found.text.startswith(PROBE):
            raise ModelError("the server repeats the prompt before each answer: switch that off, or use another")
        around = _around(asking, base) if path == COMPLETIONS else around
        if path == CHAT or around is None or around <= AROUND:
            return path, found, around
    if around is not None:
        remedy = "leave out `--endpoint-api`, and its chats are asked, or use another server"
        if api == "auto":
            remedy = f"and it has no chats ({'; '.join(refused)}): serve the model without that, or with chats"
        raise ModelError(
            f"the server's completions put {around} tokens around each text, as a chat template does, so no prompt "
            f"would be asked as it is: {remedy}"
        )
    raise ModelError(
        f"`--model` must be a model that the server serves, and it refuses {base!r} ({'; '.join(refused)})"
        f"{_there(listed)}"
    )


def _around(asking: Server, base: str) -> int | None:
    """How many tokens completions put around a text, by a text that is said once and twice; None: they do not say."""
    replies = [asking.complete(COMPLETIONS, body_of(COMPLETIONS, base, TWICE * times, 1)) for times in (1, 2)]
    counts = [None if isinstance(reply, Refused) else reply.prompt_tokens for reply in replies]
    once, twice = counts
    if once is None or twice is None or twice <= once or 2 * once - twice < -AROUND:  # what is no count of all tokens
        return None
    return 2 * once - twice


def _first(asking: Server, path: str, name: str, model: str, listed: Mapping[str, Any] | None) -> Reply:
    found = asking.complete(path, body_of(path, model, PROBE, 1))
    if isinstance(found, Refused):
        raise _about(
            name,
            f"`--adapter {name}={model}` must be a model that the server serves, and it refuses it ({found.why})"
            f"{_there(listed)}",
        )
    return found


def _there(listed: Mapping[str, Any] | None) -> str:
    return f"; it lists {some(listed)}" if listed else "; it lists no models"


def _refuse_any_name(asking: Server, path: str, asked: Sequence[str], listed: Mapping[str, Any] | None) -> None:
    """Refuse a server that answers to any name, where it does not list those that are asked.

    Raises:
        ModelError: It does.
    """
    refusals = NO | frozenset(range(500, 600))
    if isinstance(asking.complete(path, body_of(path, NOBODY, PROBE, 1), refusals=refusals), Reply):
        raise ModelError(
            f"the server answers to any name, even to {NOBODY!r}, and does not list {some(asked)}, so nothing says who "
            f"answers{_there(listed)}: give names that it lists"
        )


def _refuse_relations(names: Mapping[str, str], listed: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a base that is listed as another's adapter, and an adapter of another base.

    Raises:
        ModelError: The base is one.
        AdapterError: An adapter is.
    """
    base = listed.get(names[BASE], {})
    if parent := base.get("parent"):
        raise ModelError(
            f"`--model` must be a base, and the server lists {names[BASE]!r} as an adapter on {parent!r}: give that"
        )
    alike = {name for name, one in listed.items() if base.get("root") and one.get("root") == base["root"]}
    for name, model in names.items():
        parent = listed.get(model, {}).get("parent") if name != BASE else None
        if parent and parent not in {names[BASE], base.get("root"), *alike}:
            raise _about(
                name,
                f"`--adapter {name}={model}` must be an adapter on {names[BASE]!r}, and the server lists it as one on "
                f"{parent!r}: give that as --model, or leave the adapter out",
            )


def _refuse_same_model(names: Mapping[str, str], replies: Mapping[str, Reply]) -> None:
    """Refuse names of which the server says that one and the same model answers.

    Raises:
        AdapterError: There are two.
    """
    seen: dict[str, str] = {}
    for name, reply in replies.items():
        other = seen.setdefault(reply.model, name) if reply.model is not None else name
        if other != name:
            raise _about(
                name,
                f"`--adapter {name}={names[name]}` is answered by {reply.model!r}, as the server says, and so is "
                f"{names[other]!r}: it does not switch between them; serve the adapter (vLLM: --enable-lora "
                "--lora-modules NAME=PATH)",
            )


def _about(name: str, message: str) -> AdapterError:
    error = AdapterError(message)
    error.adapter = name
    return error


def likeliest(asking: Server, path: str, model: str) -> int:
    """How many of the likeliest first tokens a server gives; 0: none."""
    for most in MOST_TOP:
        found = asking.complete(path, body_of(path, model, PROBE, 1, **top_of(path, most)))
        if isinstance(found, Reply) and found.top is not None and len(found.top) > 1:
            return most
    return 0


def top_of(path: str, most: int) -> dict[str, Any]:
    """What asks for the likeliest first tokens."""
    return {"logprobs": most} if path == COMPLETIONS else {"logprobs": True, "top_logprobs": most}


def _with_echo(asking: Server, found: Ability, names: Mapping[str, str]) -> Ability:
    """The ability, with how log-probabilities of prompts are had; they must be each adapter's own too."""
    if found.path != COMPLETIONS:
        return found
    for tokens in (0, 1):
        trying = replace(found, echo_tokens=tokens)
        base = [_values(asking, trying, names[BASE]) for _ in range(2)]
        if base[0] is None or base[1] is None or len(base[0]) != len(base[1]):
            continue
        noise = _apart(base[0], base[1])
        others = [_values(asking, trying, model) for name, model in names.items() if name != BASE]
        own = all(one is not None and _apart(one, base[0]) > CLEARLY * noise for one in others)
        return replace(trying, echoes=own, echo_of_base=not own)
    return found


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    """How far two rows of log-probabilities are apart at most; infinitely if they are of other tokens."""
    if len(one) != len(other):
        return float("inf")
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _values(asking: Server, trying: Ability, model: str) -> tuple[float, ...] | None:
    """The log-probabilities of PROBE's tokens but the first; None where they are not had, or not of its very tokens."""
    reply = asking.complete(COMPLETIONS, echo_body(trying, model, PROBE))
    pieces = None if isinstance(reply, Refused) else pieces_of(reply, trying)
    place = None if pieces is None else beginning(pieces, PROBE)
    if pieces is None or place is None:
        return None
    values = [value for _, value in pieces[place + 1 :]]
    return tuple(value for value in values if value is not None) if values and None not in values else None


def echo_body(ability: Ability, model: str, prompt: str | Sequence[int]) -> dict[str, Any]:
    """What asks for the log-probabilities of a prompt's tokens."""
    return body_of(COMPLETIONS, model, prompt, ability.echo_tokens, echo=True, logprobs=0)


def pieces_of(reply: Reply, ability: Ability) -> list[tuple[str, float | None]] | None:
    """The text of each of a prompt's tokens with the logarithm of its probability; None where they are not given."""
    if reply.echoed is None:
        return None
    made = 0 if ability.echo_tokens == 0 else 1 if reply.output_tokens is None else reply.output_tokens
    return list(reply.echoed[: len(reply.echoed) - made])


def beginning(pieces: Sequence[tuple[str, float | None]], text: str) -> int | None:
    """The first of the tokens whose texts join to exactly a text, behind a BOS if there is one; None: they do not."""
    for place in (0, 1):
        if "".join(piece for piece, _ in pieces[place:]) == text:
            return place
    return None
